"""The rules of subnets, and the network's metadata port, which follows them."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy import update as sql_update

from common.auth import Actor
from common.config import CONF
from common.db import Tx, wake
from network.models import OWNER_METADATA, PRESENT, FixedIp, Network, Port, Subnet
from network.service import address, errors, plug, quota
from network.service.network import TOPIC, check_revision, owner
from network.service.visible import get, lock, lock_mine, mine

V4 = ipaddress.IPv4Network
PLAIN = ("name", "description")
MAX_PREFIX = 30


def _range(body: Mapping[str, Any]) -> V4:
    """The range of a new subnet. Raises BadRequest."""
    if int(body["ip_version"]) != 4:
        raise errors.invalid(f"ip_version {body['ip_version']}: this cloud offers IPv4 subnets only, use 4")
    try:
        net = V4(body["cidr"], strict=False)
    except ValueError:
        raise errors.invalid(f"The cidr {body['cidr']} does not match the ip_version '4'") from None
    if not 1 <= net.prefixlen <= MAX_PREFIX or net.is_multicast or net.is_loopback or net.is_link_local:
        raise errors.invalid(
            f"cidr {net} cannot be used for a subnet; it must have a prefix of 1 to {MAX_PREFIX} and hold unicast addresses"
        )
    return net


def _gateway(net: V4, body: Mapping[str, Any]) -> str | None:
    if "gateway_ip" not in body:
        return str(net.network_address + 1)
    return _gateway_in(net, body["gateway_ip"])


def _gateway_in(net: V4, gateway: str | None) -> str | None:
    if gateway is None:
        return None
    at = errors.ip_of("gateway_ip", gateway)
    if at not in net or at in (net.network_address, net.broadcast_address):
        raise errors.invalid(f"Gateway {gateway} is not valid on subnet {net}")
    return str(at)


def _v4(value: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(value)
    except ValueError:
        raise errors.invalid(f"'{value}' is not a valid IPv4 address of an allocation pool") from None


def _pools(net: V4, pools: Sequence[Mapping[str, str]], gateway: str | None) -> list[dict[str, Any]]:
    """The pools as given, checked and sorted. Raises BadRequest, Conflict."""
    spans = []
    for pool in pools:
        start, end = _v4(pool["start"]), _v4(pool["end"])
        if start > end:
            raise errors.bad(f"The allocation pool {start}-{end} is not valid.", type="InvalidAllocationPool")
        if start <= net.network_address or end >= net.broadcast_address:
            raise errors.bad(f"The allocation pool {start}-{end} spans beyond the subnet cidr {net}.", type="OutOfBoundsAllocationPool")
        if gateway and start <= _v4(gateway) <= end:
            message = f"Gateway ip {gateway} conflicts with allocation pool {start}-{end}."
            raise errors.conflict("GatewayConflictWithAllocationPools", message)
        spans.append((start, end))
    spans.sort()
    for (one, until), (start, end) in itertools.pairwise(spans):
        if start <= until:
            message = f"Found overlapping allocation pools: {one}-{until}, {start}-{end} for subnet {net}."
            raise errors.conflict("OverlappingAllocationPools", message)
    return [{"start": str(start), "end": str(end)} for start, end in spans]


def _check_lists(body: Mapping[str, Any]) -> None:
    """Name servers and host routes. Raises BadRequest."""
    servers = body.get("dns_nameservers") or []
    if len(set(servers)) != len(servers):
        raise errors.invalid(f"dns_nameservers {servers} has an address twice")
    for server in servers:
        _same_version("dns_nameservers", errors.ip_of("dns_nameservers", server))
    for route in body.get("host_routes") or []:
        _same_version("host_routes", errors.net_of("host_routes", route["destination"]))
        _same_version("host_routes", errors.ip_of("host_routes", route["nexthop"]))


def _same_version(field: str, value: ipaddress.IPv4Address | ipaddress.IPv6Address | V4 | ipaddress.IPv6Network) -> None:
    if value.version != 4:
        raise errors.invalid(f"{field}: {value} is not of the subnet's IP version, 4")


def _plain_routes(routes: Sequence[Mapping[str, str]] | None) -> list[dict[str, Any]]:
    """Destinations without host bits."""
    return [{"destination": str(V4(route["destination"], strict=False)), "nexthop": route["nexthop"]} for route in routes or ()]


def _apart(tx: Tx, network: Network, net: V4) -> None:
    """Raise BadRequest when the network has a range that overlaps."""
    for other in tx.scalars(select(Subnet.cidr).where(Subnet.network_id == network.id, Subnet.desired == PRESENT)):
        if V4(other).overlaps(net):
            raise errors.invalid(f"Requested subnet with cidr: {net} for network: {network.id} overlaps with another subnet")


def create(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> Subnet:
    """Raises NotFound (network), Forbidden, OverQuota, BadRequest, Conflict."""
    project = owner(actor, body)
    quota.claim(tx, project, "subnet")
    network = lock(tx, Network, body["network_id"], actor)
    mine(actor, network, "create_subnet")
    net = _range(body)
    _apart(tx, network, net)
    _check_lists(body)
    gateway = _gateway(net, body)
    given = body.get("allocation_pools")
    pools = address.default_pools(net, gateway) if not given else _pools(net, given, gateway)
    row = Subnet(
        network_id=network.id,
        project_id=project,
        cidr=str(net),
        gateway_ip=gateway,
        enable_dhcp=body.get("enable_dhcp", True),
        dns_nameservers=list(body.get("dns_nameservers") or []),
        host_routes=_plain_routes(body.get("host_routes")),
        allocation_pools=pools,
        **{key: body[key] for key in PLAIN if key in body},
    )
    tx.add(row)
    tx.flush()
    sync_metadata(tx, network)
    wake(tx, TOPIC)
    return row


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> Subnet:
    """Raises NotFound, Forbidden, BadRequest, Conflict."""
    row, network = _locked(tx, actor, id, "update")
    check_revision(row.generation, revision)
    _check_lists(body)
    before = (row.gateway_ip, row.enable_dhcp)
    _update_range(tx, row, body)
    if "host_routes" in body:
        row.host_routes = _plain_routes(body["host_routes"])
    for key in (*PLAIN, "dns_nameservers"):
        if key in body:
            setattr(row, key, body[key] if body[key] is not None else type(getattr(row, key))())
    if body.get("enable_dhcp") is not None and body["enable_dhcp"] != row.enable_dhcp:
        row.enable_dhcp = body["enable_dhcp"]
        tx.flush()
        sync_metadata(tx, network)
    if (row.gateway_ip, row.enable_dhcp) != before:
        touch_ports(tx, row.id)
    row.touch()
    tx.flush()
    wake(tx, TOPIC)
    return row


def _locked(tx: Tx, actor: Actor, id: str, verb: str) -> tuple[Subnet, Network]:
    """The actor's subnet and its network, locked in the order of their tables."""
    network = lock(tx, Network, get(tx, actor, Subnet, id).network_id)
    return lock_mine(tx, actor, Subnet, id, verb), network


def _update_range(tx: Tx, row: Subnet, body: Mapping[str, Any]) -> None:
    """Gateway and pools, which must stay apart. Raises BadRequest, Conflict."""
    net = V4(row.cidr)
    if "gateway_ip" in body and body["gateway_ip"] != row.gateway_ip:
        _free_gateway(tx, row)
        row.gateway_ip = _gateway_in(net, body["gateway_ip"])
    pools = body.get("allocation_pools")
    if pools is not None or "gateway_ip" in body:
        row.allocation_pools = _pools(net, row.allocation_pools if pools is None else pools, row.gateway_ip)


def _free_gateway(tx: Tx, row: Subnet) -> None:
    """A gateway that is a router's interface stays while that is plugged in."""
    held = select(FixedIp.port_id).join(Port, Port.id == FixedIp.port_id)
    held = held.where(FixedIp.subnet_id == row.id, FixedIp.ip == row.gateway_ip, Port.device_owner.startswith("network:router"))
    port_id = tx.scalars(held).first()
    if port_id:
        raise errors.conflict("GatewayIpInUse", f"Current gateway ip {row.gateway_ip} already in use by port {port_id}. Unable to update.")


def touch_ports(tx: Tx, subnet_id: str) -> None:
    """Ports refer to their subnet's DHCP options, routers' gateways to its next hop: they are brought about again."""
    ports = select(FixedIp.port_id).where(FixedIp.subnet_id == subnet_id)
    tx.execute(
        sql_update(Port).where(Port.id.in_(ports)).values(generation=Port.generation + 1),
        execution_options={"synchronize_session": "fetch"},
    )


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """Raises NotFound, Forbidden, Conflict while a port has an address of it."""
    row, network = _locked(tx, actor, id, "delete")
    check_revision(row.generation, revision)
    users = select(Port.id).join(FixedIp, FixedIp.port_id == Port.id)
    if tx.scalars(users.where(FixedIp.subnet_id == id, Port.device_owner != OWNER_METADATA)).first():
        message = f"Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."
        raise errors.conflict("SubnetInUse", message)
    tx.execute(sql_delete(FixedIp).where(FixedIp.subnet_id == id))
    row.remove()
    tx.flush()
    sync_metadata(tx, network)
    wake(tx, TOPIC)


def metadata_port(tx: Tx, network_id: str) -> Port | None:
    """The network's port that hosts answer 169.254.169.254 on."""
    query = select(Port).where(Port.network_id == network_id, Port.device_owner == OWNER_METADATA, Port.desired == PRESENT)
    return tx.scalars(query).one_or_none()


def sync_metadata(tx: Tx, network: Network) -> None:
    """Give the metadata port an address of each subnet with DHCP, and make or remove it with the first and the last.

    The network is locked: there is one such port. A full subnet goes without. It takes one of the first addresses,
    where tenants expect it: a random one may be just the one that they name for a port of theirs.
    """
    alive = select(Subnet).where(Subnet.network_id == network.id, Subnet.desired == PRESENT, Subnet.enable_dhcp)
    subnets = {subnet.id: subnet for subnet in tx.scalars(alive.where(Subnet.ip_version == 4))}
    port = metadata_port(tx, network.id)
    if port is None and subnets:
        port = plug.add(
            tx,
            network.id,
            project_id=network.project_id,
            device_owner=OWNER_METADATA,
            device_id=f"ovnmeta-{network.id}",
            port_security_enabled=False,
        )
    if port is None:
        return
    held = {fixed.subnet_id for fixed in tx.scalars(select(FixedIp).where(FixedIp.port_id == port.id))}
    for subnet_id in subnets.keys() - held:
        address.allocate_first(tx, subnets[subnet_id], port.id)
        subnets[subnet_id].touch()
    gone = held - subnets.keys()
    tx.execute(sql_delete(FixedIp).where(FixedIp.port_id == port.id, FixedIp.subnet_id.in_(gone)))
    port.touch()
    if not subnets:
        port.remove()
    tx.flush()


def dns_servers(subnet: Subnet) -> list[str]:
    """What DHCP hands out: the subnet's own, else the cloud's."""
    return subnet.dns_nameservers or list(CONF.ovn.dns_servers)
