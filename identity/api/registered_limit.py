"""`/v3/registered_limits`. Several are created at once, all or none."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import array, wrapped
from identity.api import views
from identity.api.shapes.answers import changed, listed, shown
from identity.api.shapes.limit import NEW_REGISTERED, REGISTERED, REGISTERED_IN, REGISTERED_QUERY
from identity.models import RegisteredLimit
from identity.service import registered_limit

Body = dict[str, Any]
ALL = "/v3/registered_limits"
PATH = f"{ALL}/{{registered_limit_id}}"
ONE, MANY = shown("registered_limit", REGISTERED), listed("registered_limits", REGISTERED)
MADE = wrapped("registered_limits", array(REGISTERED))


def view(request: Request, row: RegisteredLimit) -> Body:
    """A registered limit."""
    return {
        "id": row.id, "service_id": row.service_id, "region_id": row.region_id, "resource_name": row.resource_name,
        "default_limit": row.default_limit, "description": row.description, "links": {"self": request.url(f"{ALL}/{row.id}")},
    }  # fmt: skip


@operation("POST", ALL, action="identity:create_registered_limits", status=201, body=NEW_REGISTERED, answer=MADE)
def create_registered_limits(request: Request) -> Body:
    """Register limits."""
    rows = request.run(lambda tx: registered_limit.create_registered_limits(tx, request.body["registered_limits"]))
    return {"registered_limits": [view(request, row) for row in rows]}


@operation("GET", ALL, action="identity:list_registered_limits", query=REGISTERED_QUERY, answer=MANY)
def list_registered_limits(request: Request) -> Body:
    """List registered limits."""
    wanted = views.filters(request, "service_id", "region_id", "resource_name")
    return views.listing(request, "registered_limits", registered_limit.list_registered_limits(wanted), RegisteredLimit, view)


@operation("GET", PATH, action="identity:get_registered_limit", answer=ONE)
def get_registered_limit(request: Request) -> Body:
    """Show a registered limit."""
    row = request.read(lambda tx: registered_limit.get_registered_limit(tx, request.path["registered_limit_id"]))
    return {"registered_limit": view(request, row)}


@operation("PATCH", PATH, action="identity:update_registered_limit", body=changed("registered_limit", REGISTERED_IN), answer=ONE)
def update_registered_limit(request: Request) -> Body:
    """Change a registered limit."""
    limit_id, values = request.path["registered_limit_id"], request.body["registered_limit"]
    return {"registered_limit": view(request, request.run(lambda tx: registered_limit.update_registered_limit(tx, limit_id, values)))}


@operation("DELETE", PATH, action="identity:delete_registered_limit", status=204)
def delete_registered_limit(request: Request) -> None:
    """Delete a registered limit."""
    request.run(lambda tx: registered_limit.delete_registered_limit(tx, request.path["registered_limit_id"]))
