"""The network service's door for compute: everything runs in the caller's transaction and raises `common.errors`."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import joinedload, selectinload

from common.auth import Actor
from common.db import Tx, wake
from network.models import OWNER_METADATA, PRESENT, FixedIp, Network, Port, SecurityGroupRule
from network.service import errors, membership, plug, security_group
from network.service import network as networks
from network.service import port as ports
from network.service.visible import lock_mine, statement, visible_to

TAP_LENGTH = 11


@dataclass(frozen=True, slots=True)
class FixedIP:
    """An address of a port. `prefix`: length of its subnet's; `version`: 4 or 6."""

    subnet_id: str
    ip: str
    version: int
    prefix: int


@dataclass(frozen=True, slots=True)
class PortView:
    """A port as a server needs it. `mtu` in bytes; `tap`: the interface's name on the host; `wired`: its chassis has it up.

    allowed_address_pairs: [{"ip_address", "mac_address"}], what else it may send as; without `port_security_enabled` it may send as anyone.
    """

    id: str
    network_id: str
    network_name: str
    mac: str
    fixed_ips: tuple[FixedIP, ...]
    floating_ips: tuple[str, ...]
    security_groups: tuple[tuple[str, str], ...]
    mtu: int
    host_id: str
    tap: str
    wired: bool
    created_by_compute: bool
    device_id: str
    device_owner: str
    generation: int
    floating_by_fixed: Mapping[str, str]
    port_security_enabled: bool
    allowed_address_pairs: tuple[Mapping[str, str], ...]

    @property
    def security_group_names(self) -> tuple[str, ...]:
        """Names of the port's groups."""
        return tuple(name for _, name in self.security_groups)


@dataclass(frozen=True, slots=True)
class RuleView:
    """What a security group lets in. None is any; for ICMP the ports are type and code. `remote_group`: name and project of the peers' group."""

    id: str
    ethertype: str
    protocol: str | None
    ports: tuple[int | None, int | None]
    prefix: str | None
    remote_group: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A security group, with its rules for what comes in."""

    id: str
    name: str
    description: str
    project_id: str
    rules: tuple[RuleView, ...]


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A network that servers may be on. `mtu` in bytes."""

    id: str
    name: str
    project_id: str
    shared: bool
    external: bool
    mtu: int
    subnet_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetadataPort:
    """The port on which each host answers 169.254.169.254 for a network. `prefixes`: (ip, prefix length)."""

    id: str
    mac: str
    ips: tuple[str, ...]
    mtu: int
    prefixes: tuple[tuple[str, int], ...]


_LOADS = (
    joinedload(Port.network),
    selectinload(Port.fixed_ips).joinedload(FixedIp.subnet),
    selectinload(Port.security_groups),
    selectinload(Port.floating_ips),
)


def tap(port_id: str) -> str:
    """The name of a port's interface on its host."""
    return "tap" + port_id[:TAP_LENGTH]


def _fixed(row: FixedIp) -> FixedIP:
    net = ipaddress.ip_network(row.subnet.cidr)
    return FixedIP(row.subnet_id, row.ip, net.version, net.prefixlen)


def _view(row: Port) -> PortView:
    return PortView(
        id=row.id,
        network_id=row.network_id,
        network_name=row.network.name,
        mac=row.mac_address,
        fixed_ips=tuple(_fixed(fixed) for fixed in row.fixed_ips),
        floating_ips=tuple(floating.floating_ip_address for floating in row.floating_ips),
        security_groups=tuple((group.id, group.name) for group in row.security_groups),
        mtu=row.network.mtu,
        host_id=row.host_id,
        tap=tap(row.id),
        wired=row.wired,
        created_by_compute=row.created_by_compute,
        device_id=row.device_id,
        device_owner=row.device_owner,
        generation=row.generation,
        floating_by_fixed={floating.fixed_ip_address or "": floating.floating_ip_address for floating in row.floating_ips},
        port_security_enabled=row.port_security_enabled,
        allowed_address_pairs=tuple(row.allowed_address_pairs),
    )


def _attached(device_ids: Iterable[str]) -> ColumnElement[bool]:
    """Ports that compute gave to these servers. A tenant may write any device_id on its ports, but not this owner."""
    return and_(Port.device_id.in_(list(device_ids)), Port.device_owner.startswith("compute:"))


def _views(tx: Tx, *where: Any) -> list[PortView]:
    query = select(Port).where(Port.desired == PRESENT, *where).options(*_LOADS).order_by(Port.created_at, Port.id)
    return [_view(row) for row in tx.scalars(query, execution_options={"populate_existing": True}).unique()]


def create_port(
    tx: Tx,
    actor: Actor,
    *,
    network_id: str,
    device_id: str,
    device_owner: str,
    host_id: str | None = None,
    fixed_ips: Sequence[Mapping[str, Any]] | None = None,
    security_groups: Sequence[str] | None = None,
    name: str = "",
    mac: str | None = None,
) -> str:
    """A port that goes with its device; its id. `fixed_ips`: [{"subnet_id", "ip_address"}], either; `security_groups`: ids, None the default group.

    Raises NotFound (network, subnet, group), Forbidden, OverQuota, BadRequest, Conflict (address in use, none left).
    """
    body: dict[str, Any] = {
        "network_id": network_id,
        "device_id": device_id,
        "device_owner": device_owner,
        "name": name,
        "mac_address": mac,
        "fixed_ips": fixed_ips,
        "security_groups": security_groups,
    }
    if host_id:
        body["binding:host_id"] = host_id
    return ports.create(tx, actor, body, created_by_compute=True).id


def adopt_port(tx: Tx, actor: Actor, port_id: str, *, device_id: str, device_owner: str) -> None:
    """Give an existing port of the tenant to a device.

    Raises NotFound, Forbidden, Conflict (PortInUse) when it has one.
    """
    port = lock_mine(tx, actor, Port, port_id, "update")
    if port.device_id and port.device_id != device_id:
        raise errors.conflict("PortInUse", f"Port {port_id} is still in use.")
    port.device_id, port.device_owner = device_id, device_owner
    port.touch()
    tx.flush()
    wake(tx, networks.TOPIC)


def bind_ports(tx: Tx, device_id: str, host_id: str, chassis: str) -> None:
    """All ports of the device are on this host from now on."""
    _bind(tx, device_id, host_id, chassis)


def unbind_ports(tx: Tx, device_id: str) -> None:
    """The device's ports are nowhere."""
    _bind(tx, device_id, "", None)


def _bind(tx: Tx, device_id: str, host_id: str, chassis: str | None) -> None:
    query = update(Port).where(_attached([device_id]), Port.desired == PRESENT)
    query = query.where((Port.host_id != host_id) | Port.chassis.is_distinct_from(chassis))
    query = query.values(host_id=host_id, chassis=chassis, generation=Port.generation + 1)
    tx.execute(query, execution_options={"synchronize_session": "fetch"})
    wake(tx, networks.TOPIC)


def release_ports(tx: Tx, device_id: str) -> None:
    """The device is gone: ports made for it go too, the tenant's own are free again. Harmless when repeated."""
    query = select(Port).where(_attached([device_id]), Port.desired == PRESENT).order_by(Port.id).with_for_update()
    for port in tx.scalars(query, execution_options={"populate_existing": True}):
        _release(tx, port)
    wake(tx, networks.TOPIC)


def release_port(tx: Tx, port_id: str) -> None:
    """As `release_ports`, for one port."""
    query = select(Port).where(Port.id == port_id, Port.desired == PRESENT).with_for_update()
    port = tx.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if port is not None:
        _release(tx, port)
        wake(tx, networks.TOPIC)


def _release(tx: Tx, port: Port) -> None:
    if port.created_by_compute:
        plug.remove(tx, port)
        return
    port.device_id = port.device_owner = port.host_id = ""
    port.chassis = None
    port.touch()
    tx.flush()


def ports_of(tx: Tx, device_ids: Iterable[str]) -> dict[str, list[PortView]]:
    """The ports of each device, oldest first; a device without any is not in the answer. A fixed number of queries."""
    found: dict[str, list[PortView]] = defaultdict(list)
    for view in _views(tx, _attached(device_ids)):
        found[view.device_id].append(view)
    return dict(found)


def get_port(tx: Tx, actor: Actor, port_id: str) -> PortView:
    """One port. Raises NotFound."""
    found = _views(tx, Port.id == port_id, visible_to(actor, Port))
    if not found:
        raise errors.missing("port", port_id)
    return found[0]


def _network(row: Network) -> NetworkView:
    ids = tuple(subnet.id for subnet in row.subnets)
    return NetworkView(row.id, row.name, row.project_id, row.shared, row.external, row.mtu, ids)


def available_networks(tx: Tx, actor: Actor) -> list[NetworkView]:
    """Networks that the actor's servers may be on: its project's, and shared ones."""
    own = Network.project_id == (actor.project_id or "-")
    query = statement(actor, Network).where(own | Network.shared).options(selectinload(Network.subnets))
    return [_network(row) for row in tx.scalars(query.order_by(Network.created_at, Network.id))]


def network_of(tx: Tx, actor: Actor, network_id: str) -> NetworkView:
    """A network by id. Raises NotFound."""
    query = statement(actor, Network).where(Network.id == network_id).options(selectinload(Network.subnets))
    row = tx.scalars(query).one_or_none()
    if row is None:
        raise errors.missing("network", network_id)
    return _network(row)


def security_groups_by_name(tx: Tx, actor: Actor, names: Sequence[str]) -> list[str]:
    """Ids of the actor's groups, each given by name or id. Raises NotFound, Conflict (a name that several have)."""
    return security_group.by_name(tx, actor, names)


def security_groups_of(tx: Tx, device_id: str) -> list[GroupView]:
    """The groups that hold for any of the device's ports, oldest first."""
    groups = membership.held(tx, _attached([device_id]))
    remote = membership.names(tx, [rule.remote_group_id for group in groups for rule in group.rules if rule.remote_group_id])

    def rule(row: SecurityGroupRule) -> RuleView:
        ports = row.port_range_min, row.port_range_max
        return RuleView(row.id, row.ethertype, row.protocol, ports, row.remote_ip_prefix, remote.get(row.remote_group_id or ""))

    return [
        GroupView(group.id, group.name, group.description, group.project_id, tuple(rule(row) for row in group.rules if row.direction == "ingress"))
        for group in groups
    ]  # fmt: skip


def add_security_group(tx: Tx, actor: Actor, device_id: str, name: str) -> None:
    """The actor's group of this name or id holds for the device's ports too; harmless when it does. Raises NotFound, Conflict (a name twice)."""
    membership.join(tx, actor, _attached([device_id]), name)


def remove_security_group(tx: Tx, actor: Actor, device_id: str, name: str) -> bool:
    """The actor's group holds for none of the device's ports; whether it did for any. Raises NotFound, Conflict (a name twice)."""
    return membership.leave(tx, actor, _attached([device_id]), name)


def metadata_ports(tx: Tx, network_ids: Iterable[str]) -> dict[str, MetadataPort]:
    """Each network's metadata port; a network without DHCP has none."""
    wanted = select(Port).where(Port.network_id.in_(list(network_ids)), Port.device_owner == OWNER_METADATA, Port.desired == PRESENT)
    rows = tx.scalars(wanted.options(*_LOADS[:2])).unique()
    found = {}
    for row in rows:
        fixed = [_fixed(one) for one in row.fixed_ips]
        prefixes = tuple((one.ip, one.prefix) for one in fixed)
        found[row.network_id] = MetadataPort(row.id, row.mac_address, tuple(one.ip for one in fixed), row.network.mtu, prefixes)
    return found
