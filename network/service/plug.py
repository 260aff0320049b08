"""Making and removing port rows: what tenants' ports, routers' legs, floating IPs and metadata ports have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx, new_uuid
from network.models import PRESENT, FixedIp, FloatingIp, Network, Port, PortSecurityGroup, Subnet
from network.service import address, errors


def add(tx: Tx, network_id: str, *, mac: str | None = None, **values: Any) -> Port:
    """A new port row with `mac`, or one of its own. Raises Conflict when the network has that MAC already."""
    for _ in range(address.TRIES):
        mac_address = mac or address.random_mac()
        row = insert(Port).values(id=new_uuid(), network_id=network_id, mac_address=mac_address, **values)
        row = row.on_conflict_do_nothing(index_elements=["network_id", "mac_address"], index_where=text("desired = 'present'"))
        port = tx.scalars(row.returning(Port)).one_or_none()
        if port is not None:
            return port
        if mac:
            message = f"Unable to complete operation for network {network_id}. The mac address {mac} is in use."
            raise errors.conflict("MacAddressInUse", message)
    raise errors.conflict("MacAddressGenerationFailure", f"Unable to generate unique mac on network {network_id}.")


def subnets_of(tx: Tx, network_id: str) -> Sequence[Subnet]:
    """The network's subnets, oldest first, not removed before this transaction ends."""
    query = select(Subnet).where(Subnet.network_id == network_id, Subnet.desired == PRESENT)
    return tx.scalars(query.order_by(Subnet.created_at, Subnet.id).with_for_update(read=True, key_share=True)).all()


def service_port(
    tx: Tx, network: Network, owner: str, device_id: str, fixed_ips: Sequence[Mapping[str, Any]] | None, project_id: str = ""
) -> Port:
    """A port of the cloud's own (`network:*`): no groups, no port security."""
    port = add(tx, network.id, device_owner=owner, device_id=device_id, project_id=project_id, port_security_enabled=False)
    address.assign(tx, port, subnets_of(tx, network.id), fixed_ips)
    return port


def remove(tx: Tx, port: Port) -> None:
    """The port goes, its addresses are free, and floating IPs let go of it."""
    let_go(tx, port)
    address.release(tx, port.id)
    tx.execute(delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port.id))
    port.remove()
    port.wired = False
    tx.flush()


def let_go(tx: Tx, port: Port, ip: str | None = None) -> None:
    """Floating IPs that lead to this address of the port, or to any, lead nowhere. One that has just been led elsewhere stays there."""
    query = select(FloatingIp).where(FloatingIp.port_id == port.id, FloatingIp.desired == PRESENT).order_by(FloatingIp.id)
    if ip is not None:
        query = query.where(FloatingIp.fixed_ip_address == ip)
    for floating in tx.scalars(query.with_for_update().execution_options(populate_existing=True)):
        floating.port_id = floating.fixed_ip_address = floating.router_id = None
        floating.touch()


def set_groups(tx: Tx, port: Port, groups: Sequence[str]) -> None:
    """Exactly these security groups hold for the port."""
    tx.execute(delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port.id))
    add_groups(tx, port, groups)


def add_groups(tx: Tx, port: Port, groups: Sequence[str]) -> None:
    """These security groups hold for the port, which has none of them."""
    if groups:
        rows = [{"port_id": port.id, "security_group_id": group} for group in dict.fromkeys(groups)]
        tx.execute(insert(PortSecurityGroup).values(rows))


def addresses(tx: Tx, port_id: str) -> list[FixedIp]:
    """The port's addresses, in order."""
    query = select(FixedIp).where(FixedIp.port_id == port_id).order_by(FixedIp.position, FixedIp.ip)
    return list(tx.scalars(query, execution_options={"populate_existing": True}))
