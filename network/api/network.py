"""/v2.0/networks."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from network.api import kit
from network.api.shapes.network import NETWORK
from network.models import Network
from network.service import network as service

PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
_FIELDS: dict[str, shapes.Shape] = {
    **kit.COMMON,
    "admin_state_up": kit.FLAG,
    "shared": kit.FLAG,
    "router:external": kit.FLAG,
    "is_default": kit.FLAG,
    "port_security_enabled": kit.FLAG,
}
CREATE = shapes.obj(
    {
        **_FIELDS,
        **kit.OWNER,
        "mtu": {"anyOf": [{"type": "null"}, shapes.integer(68, 65535)]},
        "provider:network_type": shapes.OPTIONAL_TEXT,
        "provider:physical_network": shapes.OPTIONAL_TEXT,
        "provider:segmentation_id": {"type": ["integer", "null"]},
    }
)
UPDATE = shapes.obj(_FIELDS)


def view(request: Request, row: Network) -> dict[str, Any]:
    """A network as the API shows it; how it is made only to whom policy lets see it."""
    shown = {
        **kit.standard(row),
        "admin_state_up": row.admin_state_up,
        "status": "ERROR" if row.fault else "ACTIVE",
        "shared": row.shared,
        "router:external": row.external,
        "mtu": row.mtu,
        "port_security_enabled": row.port_security_enabled,
        "subnets": [subnet.id for subnet in row.subnets],
    }
    if row.external:
        shown["is_default"] = row.is_default
    if request.may("network:network:show:provider"):
        shown |= dict(zip(PROVIDER, (row.network_type, row.physical_network, None), strict=True))
    return shown


NOUN = kit.Noun(
    "network",
    "networks",
    Network,
    view,
    flags=("admin_state_up", "shared", "router:external", "is_default", "port_security_enabled"),
    guarded={"shared": "shared", "router:external": "external", "is_default": "is_default", **dict.fromkeys(PROVIDER, "provider")},
    hidden=dict.fromkeys(PROVIDER, "network:network:show:provider"),
)
_CREATE_GUARDS = tuple(f"network:network:create:{field}" for field in ("shared", "external", "is_default", "provider"))
_UPDATE_GUARDS = tuple(f"network:network:update:{field}" for field in ("shared", "external", "is_default", "provider"))


@operation("GET", "/networks", action="network:network:list", guarded=("network:network:show:provider",), answer=NETWORK.many)
def index(request: Request) -> Any:
    """List networks that are the actor's, shared or external."""
    return kit.show_all(request, NOUN)


@operation("GET", "/networks/{id}", action="network:network:show", guarded=("network:network:show:provider",), answer=NETWORK.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST",
    "/networks",
    action="network:network:create",
    status=201,
    guarded=_CREATE_GUARDS,
    body=kit.envelope("network", CREATE, "networks"),
    answer=NETWORK.made,
)
def create(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, NOUN, service.create)


@operation(
    "PUT",
    "/networks/{id}",
    action="network:network:update",
    guarded=_UPDATE_GUARDS,
    body=kit.envelope("network", UPDATE),
    answer=NETWORK.changed,
)
def update(request: Request) -> Any:
    """Change one."""
    return kit.update(request, NOUN, service.update)


@operation("DELETE", "/networks/{id}", action="network:network:delete", status=204)
def delete(request: Request) -> Answer:
    """Delete one, with its subnets."""
    return kit.remove(request, service.delete)
