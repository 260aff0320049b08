"""The rules of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy import update as sql_update

from common.auth import Actor
from common.config import CONF
from common.db import Tx, wake
from common.errors import PreconditionFailed
from network.models import OWNER_METADATA, PRESENT, Network, Port, Router, Subnet
from network.service import address, errors, quota
from network.service.visible import lock_mine

TOPIC = "ovn"
TUNNEL_OVERHEAD = 58
GENEVE, FLAT = "geneve", "flat"
PLAIN = ("name", "description", "admin_state_up", "shared", "port_security_enabled", "is_default")


def owner(actor: Actor, body: Mapping[str, Any]) -> str:
    """Whose the new resource is: the token's project, or for an administrator the one that the body names."""
    named = body.get("project_id") or body.get("tenant_id")
    if body.get("project_id") and body.get("tenant_id") and body["project_id"] != body["tenant_id"]:
        raise errors.bad("'project_id' and 'tenant_id' do not match.")
    if named and named != actor.project_id and not actor.is_admin:
        raise errors.forbidden("creating resources for another project")
    return str(named or actor.project)


def _provider(tx: Tx, body: Mapping[str, Any]) -> tuple[str, str | None, int]:
    """Type, physical network and MTU. Raises BadRequest, Conflict."""
    kind, physical = body.get("provider:network_type"), body.get("provider:physical_network")
    if body.get("provider:segmentation_id") is not None:
        raise errors.invalid("provider:segmentation_id is chosen by OVN for geneve and has no meaning for flat networks")
    if kind is None and physical is None:
        return GENEVE, None, CONF.ovn.underlay_mtu - TUNNEL_OVERHEAD
    if kind == GENEVE and physical is None:
        return GENEVE, None, CONF.ovn.underlay_mtu - TUNNEL_OVERHEAD
    if kind != FLAT or not physical:
        raise errors.invalid(f"provider:network_type '{kind}' with provider:physical_network '{physical}' is not offered")
    known: dict[str, str] = CONF.ovn.physical_networks
    if physical not in known:
        raise errors.invalid(f"physical_network '{physical}' unknown for flat provider network")
    used = select(Network.id).where(Network.physical_network == physical, Network.desired == PRESENT)
    if tx.scalars(used).first():
        raise errors.conflict("FlatNetworkInUse", f"Unable to create the flat network. Physical network {physical} is in use.")
    return FLAT, physical, int(known[physical])


def create(tx: Tx, actor: Actor, body: Mapping[str, Any]) -> Network:
    """Raises OverQuota, BadRequest, Conflict."""
    project = owner(actor, body)
    quota.claim(tx, project, "network")
    kind, physical, largest = _provider(tx, body)
    mtu = int(body.get("mtu") or largest)
    if mtu > largest:
        raise errors.invalid(f"Requested MTU is too big, maximum is {largest}")
    row = Network(
        project_id=project,
        external=body.get("router:external", False),
        network_type=kind,
        physical_network=physical,
        mtu=mtu,
        **{key: body[key] for key in PLAIN if key in body},
    )
    tx.add(row)
    tx.flush()
    wake(tx, TOPIC)
    return row


def update(tx: Tx, actor: Actor, id: str, body: Mapping[str, Any], revision: int | None = None) -> Network:
    """Raises NotFound, Forbidden, Conflict (what would still be used)."""
    row = lock_mine(tx, actor, Network, id, "update")
    check_revision(row.generation, revision)
    if body.get("shared") is False and row.shared:
        _unshare(tx, row)
    if body.get("router:external") is False and row.external and _has_gateway(tx, row.id):
        message = f"External network {id} cannot be updated to be made non-external, since it has existing gateway ports."
        raise errors.conflict("ExternalNetworkInUse", message)
    before = row.admin_state_up
    for key in PLAIN:
        if key in body:
            setattr(row, key, body[key])
    if row.admin_state_up != before:
        _touch_ports(tx, row.id)
    if "router:external" in body:
        row.external = body["router:external"]
    row.touch()
    tx.flush()
    wake(tx, TOPIC)
    return row


def _touch_ports(tx: Tx, network_id: str) -> None:
    """In OVN a switch has no state of its own: each port is up or down with its network."""
    query = sql_update(Port).where(Port.network_id == network_id, Port.desired == PRESENT).values(generation=Port.generation + 1)
    tx.execute(query, execution_options={"synchronize_session": "fetch"})


def check_revision(current: int, wanted: int | None) -> None:
    """412 when the client's `If-Match: revision_number=N` is not the current revision."""
    if wanted is not None and wanted != current:
        raise PreconditionFailed(f"Constrained to {wanted}, but current revision is {current}", type="RevisionNumberConstraintFailed")


def _unshare(tx: Tx, row: Network) -> None:
    foreign = select(Port.id).where(Port.network_id == row.id, Port.desired == PRESENT, Port.project_id.not_in([row.project_id, ""]))
    if tx.scalars(foreign).first():
        raise errors.conflict(
            "InvalidSharedSetting", f"Unable to reconfigure sharing settings for network {row.name}. Multiple tenants are using it."
        )


def _has_gateway(tx: Tx, network_id: str) -> bool:
    query = select(Router.id).join(Port, Router.gateway_port_id == Port.id).where(Port.network_id == network_id)
    return tx.scalars(query.where(Router.desired == PRESENT)).first() is not None


def delete(tx: Tx, actor: Actor, id: str, revision: int | None = None) -> None:
    """With its subnets and metadata port. Raises NotFound, Forbidden, Conflict while anything else is plugged in."""
    row = lock_mine(tx, actor, Network, id, "delete")
    check_revision(row.generation, revision)
    ports = tx.scalars(select(Port).where(Port.network_id == id, Port.desired == PRESENT)).all()
    if any(port.device_owner != OWNER_METADATA for port in ports):
        message = f"Unable to complete operation on network {id}. There are one or more ports still in use on the network."
        raise errors.conflict("NetworkInUse", message)
    for port in ports:
        address.release(tx, port.id)
        port.remove()
    for subnet in tx.scalars(select(Subnet).where(Subnet.network_id == id, Subnet.desired == PRESENT)):
        subnet.remove()
    row.remove()
    wake(tx, TOPIC)
