"""/v2.0/floatingips."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from network.api import kit
from network.api.shapes.floating_ip import FLOATING_IP
from network.models import FloatingIp
from network.service import floating_ip as service

CREATE = shapes.obj(
    {
        **kit.OWNER,
        "description": kit.DESCRIPTION,
        "floating_network_id": kit.ID,
        "floating_ip_address": kit.NULL_ADDRESS,
        "subnet_id": kit.NULL_ID,
        "port_id": kit.NULL_ID,
        "fixed_ip_address": kit.NULL_ADDRESS,
    },
    required=("floating_network_id",),
)
UPDATE = shapes.obj({"description": kit.DESCRIPTION, "port_id": kit.NULL_ID, "fixed_ip_address": kit.NULL_ADDRESS})


def view(_request: Request, row: FloatingIp) -> dict[str, Any]:
    """A floating IP as the API shows it: ACTIVE once the router translates."""
    status = "ERROR" if row.fault else "ACTIVE" if row.port_id and row.settled else "DOWN"
    shown = {
        **kit.standard(row),
        "floating_network_id": row.floating_network_id,
        "floating_ip_address": row.floating_ip_address,
        "port_id": row.port_id,
        "fixed_ip_address": row.fixed_ip_address,
        "router_id": row.router_id,
        "status": status,
    }
    shown.pop("name")
    if row.port is None:
        return {**shown, "port_details": None}
    port = row.port
    details = {
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "admin_state_up": port.admin_state_up,
        "status": "ACTIVE" if port.wired and port.admin_state_up else "DOWN",
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }
    return {**shown, "port_details": details}


NOUN = kit.Noun("floatingip", "floatingips", FloatingIp, view, guarded={"floating_ip_address": "floating_ip_address"})


@operation("GET", "/floatingips", action="network:floatingip:list", answer=FLOATING_IP.many)
def index(request: Request) -> Any:
    """List the actor's."""
    return kit.show_all(request, NOUN)


@operation("GET", "/floatingips/{id}", action="network:floatingip:show", answer=FLOATING_IP.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST",
    "/floatingips",
    action="network:floatingip:create",
    status=201,
    guarded=("network:floatingip:create:floating_ip_address",),
    body=kit.envelope("floatingip", CREATE, "floatingips"),
    answer=FLOATING_IP.made,
)
def create(request: Request) -> Any:
    """Create one or several; with `port_id` at once associated."""
    return kit.create(request, NOUN, service.create)


@operation(
    "PUT", "/floatingips/{id}", action="network:floatingip:update", body=kit.envelope("floatingip", UPDATE), answer=FLOATING_IP.changed
)
def update(request: Request) -> Any:
    """Associate, or with `port_id` null take off."""
    return kit.update(request, NOUN, service.update)


@operation("DELETE", "/floatingips/{id}", action="network:floatingip:delete", status=204)
def delete(request: Request) -> Answer:
    """Give it back."""
    return kit.remove(request, service.delete)
