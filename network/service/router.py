"""The rules of routers: interfaces are ports, and so is the gateway."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy import update as sql_update

from common.auth import Actor
from common.db import Tx, wake
from common.errors import NotFound
from network.models import OWNER_GATEWAY, OWNER_INTERFACE, PRESENT, FixedIp, FloatingIp, Network, Port, Router, Subnet
from network.service import errors, plug, quota
from network.service.network import TOPIC, check_revision, owner
from network.service.visible import get, hold, lock, lock_mine, mine

PLAIN = ("name", "description", "admin_state_up")


@dataclass(frozen=True, slots=True)
class Interface:
    """What adding or removing an interface answers."""

    router: Router
    port: Port
    subnet_ids: tuple[str, ...]


def legs(tx: Tx, router_id: str) -> Sequence[Port]:
    """The router's interfaces, without its gateway."""
    query = select(Port).where(Port.device_id == router_id, Port.device_owner == OWNER_INTERFACE, Port.desired == PRESENT)
    return tx.scalars(query).all()


def _touch_legs(tx: Tx, router: Router) -> None:
    """Each interface carries its own SNAT and up or down: they follow the router's gateway and admin state."""
    query = sql_update(Port).where(Port.device_id == router.id, Port.device_owner.in_([OWNER_INTERFACE, OWNER_GATEWAY]))
    tx.execute(query.values(generation=Port.generation + 1), execution_options={"synchronize_session": "fetch"})


def create(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> Router:
    """Raises OverQuota, NotFound (external network), BadRequest, Conflict."""
    project = owner(actor, body)
    quota.claim(tx, project, "router")
    row = Router(project_id=project, **{key: body[key] for key in PLAIN if body.get(key) is not None})
    tx.add(row)
    tx.flush()
    if body.get("external_gateway_info"):
        _set_gateway(tx, actor, row, body["external_gateway_info"])
    tx.flush()
    wake(tx, TOPIC)
    return row


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> Router:
    """`external_gateway_info` null or empty takes the gateway away. Raises NotFound, BadRequest, Conflict."""
    row = lock_mine(tx, actor, Router, id, "update")
    check_revision(row.generation, revision)
    before = row.admin_state_up
    for key in PLAIN:
        if body.get(key) is not None:
            setattr(row, key, body[key])
    if "external_gateway_info" in body:
        if body["external_gateway_info"]:
            _set_gateway(tx, actor, row, body["external_gateway_info"])
        else:
            _clear_gateway(tx, row)
    if row.admin_state_up != before:
        _touch_legs(tx, row)
    row.touch()
    tx.flush()
    tx.refresh(row, ["gateway"])
    wake(tx, TOPIC)
    return row


def _set_gateway(tx: Tx, actor: Actor, row: Router, info: Mapping[str, Any]) -> None:
    network = hold(tx, Network, info["network_id"], actor)
    if not network.external:
        raise errors.bad(f"Bad router request: Network {network.id} is not an external network.")
    if info.get("enable_snat") is not None:
        row.enable_snat = info["enable_snat"]
    wishes = info.get("external_fixed_ips") or None
    if not _stays(tx, row, network, wishes):
        _clear_gateway(tx, row)
        _plug_gateway(tx, row, network, wishes)
    _touch_legs(tx, row)


def _plug_gateway(tx: Tx, row: Router, network: Network, wishes: Sequence[Mapping[str, Any]] | None) -> None:
    _apart(tx, row, plug.subnets_of(tx, network.id))
    port = plug.service_port(tx, network, OWNER_GATEWAY, row.id, wishes)
    if not plug.addresses(tx, port.id):
        raise errors.bad(f"Bad router request: external network {network.id} has no subnet to give the router an address of.")
    row.gateway_port_id = port.id
    tx.flush()


def _stays(tx: Tx, row: Router, network: Network, wishes: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether the router's gateway is what is wished for already."""
    gateway = tx.get(Port, row.gateway_port_id) if row.gateway_port_id else None
    if gateway is None or gateway.network_id != network.id:
        return False
    held = [(fixed.subnet_id, fixed.ip) for fixed in plug.addresses(tx, gateway.id)]
    return all(
        any(wish.get("subnet_id") in (None, subnet) and wish.get("ip_address") in (None, ip) for subnet, ip in held)
        for wish in wishes or ()
    )


def _clear_gateway(tx: Tx, row: Router) -> None:
    if row.gateway_port_id is None:
        return
    used = select(FloatingIp.id).where(FloatingIp.router_id == row.id, FloatingIp.desired == PRESENT)
    if tx.scalars(used).first():
        message = (
            f"Gateway cannot be updated for router {row.id}, since a gateway to external network is required by one or more floating IPs."
        )
        raise errors.conflict("RouterExternalGatewayInUseByFloatingIp", message)
    port = lock(tx, Port, row.gateway_port_id)
    row.gateway_port_id = None
    plug.remove(tx, port)
    _touch_legs(tx, row)


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """With its gateway. Raises NotFound, Conflict while it has interfaces."""
    row = lock_mine(tx, actor, Router, id, "delete")
    check_revision(row.generation, revision)
    if legs(tx, id):
        raise errors.conflict("RouterInUse", f"Router {id} still has ports")
    _clear_gateway(tx, row)
    row.remove()
    wake(tx, TOPIC)


def _apart(tx: Tx, row: Router, new: Sequence[Subnet], *, beside: str = "") -> None:
    """Raise BadRequest when a range that the router is on, by another port than `beside`, overlaps with a new one."""
    query = select(Subnet).join(FixedIp, FixedIp.subnet_id == Subnet.id).join(Port, Port.id == FixedIp.port_id)
    query = query.where(Port.device_id == row.id, Port.device_owner.startswith("network:router"), Port.desired == PRESENT)
    query = query.where(Port.id != beside)
    for old, subnet in itertools.product(tx.scalars(query).all(), new):
        if ipaddress.ip_network(old.cidr).overlaps(ipaddress.ip_network(subnet.cidr)):
            message = f"Bad router request: Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {old.cidr} of subnet {old.id}."
            raise errors.bad(message)


def add_interface(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any]) -> Interface:
    """By `subnet_id` (at its gateway's address) or `port_id`. Raises NotFound, OverQuota, BadRequest, Conflict."""
    if body.get("subnet_id"):  # the project is locked before resources
        quota.claim(tx, get(tx, actor, Router, id).project_id, "port")
    row = lock_mine(tx, actor, Router, id, "add_router_interface")
    if bool(body.get("subnet_id")) == bool(body.get("port_id")):
        raise errors.bad("Bad router request: Either subnet_id or port_id must be specified, and not both.")
    if body.get("subnet_id"):
        port, subnets = _plug_subnet(tx, actor, row, body["subnet_id"])
    else:
        port, subnets = _plug_port(tx, actor, row, body["port_id"])
    row.touch()
    tx.flush()
    wake(tx, TOPIC)
    return Interface(row, port, tuple(subnet.id for subnet in subnets))


def _plug_subnet(tx: Tx, actor: Actor, row: Router, subnet_id: str) -> tuple[Port, list[Subnet]]:
    subnet = hold(tx, Subnet, subnet_id, actor)
    network = hold(tx, Network, subnet.network_id, actor)
    mine(actor, network, "taking the gateway's address on a network of another project (plug a port of yours instead)")
    if subnet.gateway_ip is None:
        raise errors.bad(f"Bad router request: Subnet {subnet_id} for router interface must have a gateway IP.")
    _apart(tx, row, [subnet])
    wish = [{"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}]
    return plug.service_port(tx, network, OWNER_INTERFACE, row.id, wish, row.project_id), [subnet]


def _plug_port(tx: Tx, actor: Actor, row: Router, port_id: str) -> tuple[Port, list[Subnet]]:
    port = lock_mine(tx, actor, Port, port_id, "update")
    if port.device_id:
        message = f"Unable to complete operation on port {port_id} for network {port.network_id}. Port already has an attached device {port.device_id}."
        raise errors.conflict("PortInUse", message)
    subnets = [fixed.subnet for fixed in plug.addresses(tx, port.id)]
    if not subnets:
        raise errors.bad(f"Bad router request: Port {port_id} has no fixed IPs.", type="BadRequest")
    _apart(tx, row, subnets)
    port.device_id, port.device_owner, port.port_security_enabled = row.id, OWNER_INTERFACE, False
    plug.set_groups(tx, port, [])
    port.touch()
    return port, subnets


def _find_leg(tx: Tx, row: Router, body: Mapping[str, Any]) -> tuple[Port, list[FixedIp]]:
    """The interface that a removal means. Raises NotFound, BadRequest, Conflict."""
    port_id, subnet_id = body.get("port_id"), body.get("subnet_id")
    if not port_id and not subnet_id:
        raise errors.bad("Bad router request: Either subnet_id or port_id must be specified.")
    for port in legs(tx, row.id):
        held = plug.addresses(tx, port.id)
        on_subnet = subnet_id in (None, *(fixed.subnet_id for fixed in held))
        if port_id in (None, port.id) and on_subnet:
            return port, held
        if port_id == port.id:
            raise errors.conflict("RouterInterfaceNotFoundForSubnet", f"Port {port_id} is not associated with subnet {subnet_id}.")
    message = f"Router {row.id} does not have an interface with id {port_id or subnet_id}"
    raise NotFound(message, type="RouterInterfaceNotFound" if port_id else "RouterInterfaceNotFoundForSubnet")


def _spare(tx: Tx, row: Router, subnet_ids: Collection[str]) -> None:
    """Raise Conflict when a floating IP leads through the router to one of these subnets."""
    led_to = and_(FixedIp.port_id == FloatingIp.port_id, FixedIp.ip == FloatingIp.fixed_ip_address)
    needs = select(FixedIp.subnet_id).join(FloatingIp, led_to).where(FloatingIp.router_id == row.id, FloatingIp.desired == PRESENT)
    needed = tx.scalars(needs.where(FixedIp.subnet_id.in_(subnet_ids))).first()
    if needed:
        message = (
            f"Router interface for subnet {needed} on router {row.id} cannot be deleted, as it is required by one or more floating IPs."
        )
        raise errors.conflict("RouterInterfaceInUseByFloatingIP", message)


def is_leg(port: Port) -> bool:
    """Whether the port is a router's interface or gateway."""
    return port.device_owner in (OWNER_INTERFACE, OWNER_GATEWAY)


def lock_of_leg(tx: Tx, port: Port) -> Router | None:
    """The router that the port is a leg of, locked as for adding or removing one; None where it is none. Raises NotFound."""
    return lock(tx, Router, port.device_id) if is_leg(port) else None


def check_moved(tx: Tx, row: Router, port: Port, before: Collection[str]) -> None:
    """A leg that was on the subnets `before` has other addresses: the rules of adding and removing one. Raises BadRequest, Conflict."""
    after = {fixed.subnet_id: fixed.subnet for fixed in plug.addresses(tx, port.id)}
    if not after:
        raise errors.bad(
            f"Bad router request: fixed_ips [] leaves port {port.id} of router {row.id} without an address; unplug it instead."
        )
    _apart(tx, row, [subnet for id, subnet in after.items() if id not in before], beside=port.id)
    if port.device_owner == OWNER_INTERFACE:
        _spare(tx, row, set(before) - after.keys())
    else:  # interfaces translate to the gateway's address
        _touch_legs(tx, row)


def remove_interface(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any]) -> Interface:
    """Raises NotFound, Conflict while a floating IP needs it."""
    row = lock_mine(tx, actor, Router, id, "remove_router_interface")
    port, held = _find_leg(tx, row, body)
    subnets = [fixed.subnet_id for fixed in held]
    _spare(tx, row, subnets)
    plug.remove(tx, port)
    row.touch()
    tx.flush()
    wake(tx, TOPIC)
    return Interface(row, port, tuple(subnets))
