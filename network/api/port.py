"""/v2.0/ports."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from network.api import kit
from network.api.shapes.port import PORT
from network.models import Port
from network.service import port as service

MAC: shapes.Shape = {"type": "string", "format": "mac"}
FIXED = shapes.obj({"subnet_id": kit.ID, "ip_address": kit.ADDRESS})
PAIR = shapes.obj({"mac_address": MAC, "ip_address": {"type": "string", "maxLength": 64}}, required=("ip_address",))
_FIELDS: dict[str, shapes.Shape] = {
    **kit.COMMON,
    "admin_state_up": kit.FLAG,
    "device_id": shapes.OPTIONAL_TEXT,
    "device_owner": shapes.OPTIONAL_TEXT,
    "port_security_enabled": kit.FLAG,
    "fixed_ips": {"type": ["array", "null"], "items": {**FIXED, "minProperties": 1}, "maxItems": 5},
    "security_groups": {"type": ["array", "null"], "items": kit.ID, "maxItems": 50},
    "allowed_address_pairs": {"type": ["array", "null"], "items": PAIR},
    "binding:host_id": shapes.OPTIONAL_TEXT,
    "binding:profile": {"type": ["object", "null"], "maxProperties": 64},
    "binding:vnic_type": {"enum": ["normal", None]},
    "mac_address": MAC,
}
CREATE = shapes.obj({**_FIELDS, **kit.OWNER, "network_id": kit.ID}, required=("network_id",))
UPDATE = shapes.obj(_FIELDS)


def view(request: Request, row: Port) -> dict[str, Any]:
    """A port as the API shows it; where it is only to whom policy lets see it."""
    status = "ERROR" if row.fault else "ACTIVE" if row.wired and row.admin_state_up else "DOWN"
    shown = {
        **kit.standard(row),
        "network_id": row.network_id,
        "mac_address": row.mac_address,
        "admin_state_up": row.admin_state_up,
        "status": status,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "fixed_ips": [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip} for fixed in row.fixed_ips],
        "security_groups": [group.id for group in row.security_groups],
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": row.allowed_address_pairs,
        "binding:vnic_type": row.vnic_type,
    }
    if request.may("network:port:show:binding"):
        shown |= {
            "binding:host_id": row.host_id,
            "binding:profile": row.profile,
            "binding:vif_type": "ovs" if row.host_id else "unbound",
            "binding:vif_details": {"port_filter": True, "connectivity": "l2"} if row.host_id else {},
        }
    return shown


NOUN = kit.Noun(
    "port",
    "ports",
    Port,
    view,
    flags=("admin_state_up", "port_security_enabled"),
    guarded={"binding:host_id": "binding", "binding:profile": "binding", "mac_address": "mac_address"},
    hidden=dict.fromkeys(("binding:host_id", "binding:profile", "binding:vif_type"), "network:port:show:binding"),
)


@operation("GET", "/ports", action="network:port:list", guarded=("network:port:show:binding",), answer=PORT.many)
def index(request: Request) -> Any:
    """List ports that are the actor's or on its networks."""
    return kit.show_all(request, NOUN)


@operation("GET", "/ports/{id}", action="network:port:show", guarded=("network:port:show:binding",), answer=PORT.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST", "/ports", action="network:port:create", status=201, guarded=("network:port:create:binding",),
    body=kit.envelope("port", CREATE, "ports"),
    answer=PORT.made,
)  # fmt: skip
def create(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, NOUN, service.create)


@operation(
    "PUT",
    "/ports/{id}",
    action="network:port:update",
    guarded=("network:port:update:binding", "network:port:update:mac_address"),
    body=kit.envelope("port", UPDATE),
    answer=PORT.changed,
)
def update(request: Request) -> Any:
    """Change one."""
    return kit.update(request, NOUN, service.update)


@operation("DELETE", "/ports/{id}", action="network:port:delete", status=204)
def delete(request: Request) -> Answer:
    """Delete one."""
    return kit.remove(request, service.delete)
