"""/v2.0/routers."""

from __future__ import annotations

from typing import Any

from common.api import shapes
from common.api.operation import Answer, operation
from common.api.request import Request
from common.errors import Forbidden
from network.api import kit
from network.api.shapes import router
from network.models import Router
from network.service import router as service

FIXED: shapes.Shape = {**shapes.obj({"subnet_id": kit.ID, "ip_address": kit.ADDRESS}), "minProperties": 1}
GATEWAY = shapes.obj(
    {
        "network_id": kit.ID,
        "enable_snat": kit.FLAG,
        "external_fixed_ips": {"type": "array", "items": FIXED, "maxItems": 5},
    },
    required=("network_id",),
)
_FIELDS: dict[str, shapes.Shape] = {
    **kit.COMMON,
    "admin_state_up": kit.FLAG,
    "external_gateway_info": {"anyOf": [GATEWAY, {"type": "null"}, {"type": "object", "maxProperties": 0}]},
}
CREATE = shapes.obj({**_FIELDS, **kit.OWNER})
UPDATE = shapes.obj(_FIELDS)
INTERFACE = shapes.obj({"subnet_id": kit.ID, "port_id": kit.ID})


def view(_request: Request, row: Router) -> dict[str, Any]:
    """A router as the API shows it."""
    info = None
    if row.gateway is not None:
        info = {
            "network_id": row.gateway.network_id,
            "enable_snat": row.enable_snat,
            "external_fixed_ips": [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip} for fixed in row.gateway.fixed_ips],
        }
    return {
        **kit.standard(row),
        "admin_state_up": row.admin_state_up,
        "status": "ERROR" if row.fault else "ACTIVE",
        "external_gateway_info": info,
    }


NOUN = kit.Noun("router", "routers", Router, view, flags=("admin_state_up",))


def _gateway(request: Request, body: dict[str, Any], verb: str) -> dict[str, Any]:
    """Its booleans made real. How the gateway translates and which address it has is guarded (Forbidden)."""
    info = body.get("external_gateway_info")
    if not info:
        return body
    for key in ("enable_snat", "external_fixed_ips"):
        if info.get(key) is not None and not request.may(f"network:router:{verb}:gateway"):
            message = f"({verb}_router and {verb}_router:external_gateway_info:{key}) is disallowed by policy"
            raise Forbidden(message, type="PolicyNotAuthorized")
    snat = info.get("enable_snat")
    return {**body, "external_gateway_info": {**info, "enable_snat": None if snat is None else shapes.truth(snat)}}


@operation("GET", "/routers", action="network:router:list", answer=router.ROUTER.many)
def index(request: Request) -> Any:
    """List the actor's routers."""
    return kit.show_all(request, NOUN)


@operation("GET", "/routers/{id}", action="network:router:show", answer=router.ROUTER.one)
def show(request: Request) -> Any:
    """Show one."""
    return kit.show_one(request, NOUN)


@operation(
    "POST",
    "/routers",
    action="network:router:create",
    status=201,
    guarded=("network:router:create:gateway",),
    body=kit.envelope("router", CREATE, "routers"),
    answer=router.ROUTER.made,
)
def create(request: Request) -> Any:
    """Create one or several."""
    return kit.create(request, NOUN, lambda tx, actor, body: service.create(tx, actor, _gateway(request, body, "create")))


@operation(
    "PUT",
    "/routers/{id}",
    action="network:router:update",
    guarded=("network:router:update:gateway",),
    body=kit.envelope("router", UPDATE),
    answer=router.ROUTER.changed,
)
def update(request: Request) -> Any:
    """Change one; its gateway too."""
    return kit.update(
        request, NOUN, lambda tx, actor, router_id, body, at: service.update(tx, actor, router_id, _gateway(request, body, "update"), at)
    )


@operation("DELETE", "/routers/{id}", action="network:router:delete", status=204)
def delete(request: Request) -> Answer:
    """Delete one that has no interfaces."""
    return kit.remove(request, service.delete)


def _interface(made: service.Interface) -> dict[str, Any]:
    return {
        "id": made.router.id,
        "project_id": made.router.project_id,
        "tenant_id": made.router.project_id,
        "port_id": made.port.id,
        "network_id": made.port.network_id,
        "subnet_id": next(iter(made.subnet_ids), None),
        "subnet_ids": list(made.subnet_ids),
    }


@operation("PUT", "/routers/{id}/add_router_interface", action="network:router:add_interface", body=INTERFACE, answer=router.INTERFACE)
def add_interface(request: Request) -> Any:
    """Plug the router into a subnet, or into a port."""
    return request.run(lambda tx: _interface(service.add_interface(tx, request.actor, request.path["id"], request.body)))


@operation(
    "PUT", "/routers/{id}/remove_router_interface", action="network:router:remove_interface", body=INTERFACE, answer=router.INTERFACE
)
def remove_interface(request: Request) -> Any:
    """Unplug it."""
    return request.run(lambda tx: _interface(service.remove_interface(tx, request.actor, request.path["id"], request.body)))
