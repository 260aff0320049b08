"""The rules of floating IPs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from common.auth import Actor
from common.db import Tx, wake
from common.errors import NotFound
from network.models import (
    OWNER_FLOATING,
    OWNER_INTERFACE,
    PRESENT,
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    Subnet,
)
from network.service import errors, plug, quota
from network.service.network import TOPIC, check_revision, owner
from network.service.visible import hold, lock, lock_mine, mine


def create(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> FloatingIp:
    """Raises NotFound (network, port, router to it), Forbidden, OverQuota, BadRequest, Conflict."""
    project = owner(actor, body)
    quota.claim(tx, project, "floatingip")
    network = hold(tx, Network, body["floating_network_id"], actor)
    if not network.external:
        raise errors.bad(f"Bad floatingip request: Network {network.id} is not a valid external network.")
    if body.get("fixed_ip_address") and not body.get("port_id"):
        raise errors.bad("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
    wish = {key: body[name] for key, name in (("subnet_id", "subnet_id"), ("ip_address", "floating_ip_address")) if body.get(name)}
    outer = plug.service_port(tx, network, OWNER_FLOATING, "", [wish] if wish else None)
    held = plug.addresses(tx, outer.id)
    if not held:
        raise errors.bad(f"Bad floatingip request: network {network.id} has no IPv4 subnet.", type="ExternalIpAddressExhausted")
    row = FloatingIp(
        project_id=project,
        description=body.get("description") or "",
        floating_network_id=network.id,
        floating_ip_address=held[0].ip,
        floating_port_id=outer.id,
    )
    tx.add(row)
    tx.flush()
    outer.device_id = row.id
    if body.get("port_id"):
        _associate(tx, actor, row, body["port_id"], body.get("fixed_ip_address"))
    tx.flush()
    wake(tx, TOPIC)
    return row


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> FloatingIp:
    """`port_id` null takes it off; a body without it leaves it where it is. Raises NotFound, BadRequest, Conflict."""
    if body.get("port_id"):  # ports are locked before floating IPs
        lock(tx, Port, body["port_id"], actor)
    row = lock_mine(tx, actor, FloatingIp, id, "update")
    check_revision(row.generation, revision)
    if "description" in body:
        row.description = body["description"] or ""
    if body.get("port_id"):
        _associate(tx, actor, row, body["port_id"], body.get("fixed_ip_address"))
    elif "port_id" in body:
        if body.get("fixed_ip_address"):
            raise errors.bad("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
        row.port_id = row.fixed_ip_address = row.router_id = None
    row.touch()
    tx.flush()
    tx.refresh(row, ["port"])
    wake(tx, TOPIC)
    return row


def _associate(tx: Tx, actor: Actor, row: FloatingIp, port_id: str, fixed_ip: str | None) -> None:
    """Lead the floating IP to one of the port's addresses. Raises NotFound, BadRequest, Conflict."""
    port = lock(tx, Port, port_id, actor)
    mine(actor, port, "update_floatingip with a port of another project")
    held = plug.addresses(tx, port.id)
    fixed = next((one for one in held if fixed_ip in (None, one.ip)), None)
    if fixed is None:
        if fixed_ip:
            raise errors.bad(f"Bad floatingip request: Port {port_id} does not have fixed ip {fixed_ip}.")
        raise errors.bad(f"Bad floatingip request: Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses.")
    taken = select(FloatingIp).where(
        FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address == fixed.ip, FloatingIp.desired == PRESENT, FloatingIp.id != row.id
    )
    other = tx.scalars(taken).first()
    if other is not None:
        message = (
            f"Cannot associate floating IP {row.floating_ip_address} ({row.id}) with port {port_id} using fixed IP {fixed.ip}, "
            f"as that fixed IP already has a floating IP on external network {other.floating_network_id}."
        )
        raise errors.conflict("FloatingIPPortAlreadyAssociated", message)
    row.router_id = _router(tx, fixed, row.floating_network_id, port_id)
    row.port_id, row.fixed_ip_address = port.id, fixed.ip


def _router(tx: Tx, fixed: FixedIp, network_id: str, port_id: str) -> str:
    """The router between the address's subnet and the external network, locked against losing either. Raises NotFound, Conflict."""
    query = _routers(fixed, network_id)
    found = tx.scalars(query).first()
    if found is None:
        message = f"External network {network_id} is not reachable from subnet {fixed.subnet_id}. Therefore, cannot associate Port {port_id} with a Floating IP."
        raise NotFound(message, type="ExternalGatewayForFloatingIPNotFound")
    tx.execute(select(Router.id).where(Router.id == found).with_for_update(read=True, key_share=True))
    if tx.scalars(query).first() != found:  # what was waited for may have unplugged it
        raise errors.conflict("Conflict", f"The routers of subnet {fixed.subnet_id} changed while port {port_id} was being associated.")
    return found


def _routers(fixed: FixedIp, network_id: str) -> Select[str]:
    """Routers between the address's subnet and the external network; the one at the subnet's gateway, which answers go through, first."""
    leg, gateway, leg_ip = aliased(Port), aliased(Port), aliased(FixedIp)
    return (
        select(Router.id)
        .join(leg, leg.device_id == Router.id)
        .join(leg_ip, leg_ip.port_id == leg.id)
        .join(Subnet, Subnet.id == leg_ip.subnet_id)
        .join(gateway, gateway.id == Router.gateway_port_id)
        .where(leg.device_owner == OWNER_INTERFACE, leg.desired == PRESENT, leg_ip.subnet_id == fixed.subnet_id)
        .where(gateway.network_id == network_id, Router.desired == PRESENT)
        .order_by(leg_ip.ip.is_distinct_from(Subnet.gateway_ip), Router.id)
    )


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """Raises NotFound."""
    row = lock_mine(tx, actor, FloatingIp, id, "delete")
    check_revision(row.generation, revision)
    outer = tx.get(Port, row.floating_port_id)
    row.port_id = row.fixed_ip_address = row.router_id = None
    row.remove()
    if outer is not None:
        plug.remove(tx, outer)
    wake(tx, TOPIC)
