"""`/v3/limits`, and the model by which they relate. Several are created at once, all or none."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import array, wrapped
from common.config import CONF
from identity.api import views
from identity.api.shapes.answers import changed, listed, shown
from identity.api.shapes.limit import LIMIT, LIMIT_IN, LIMIT_QUERY, MODEL, NEW_LIMITS
from identity.models import Limit
from identity.service import limit

Body = dict[str, Any]
ALL = "/v3/limits"
PATH = f"{ALL}/{{limit_id}}"
ONE, MANY = shown("limit", LIMIT), listed("limits", LIMIT)
MADE = wrapped("limits", array(LIMIT))


def view(request: Request, row: Limit) -> Body:
    """A limit."""
    of = row.registered
    return {
        "id": row.id, "project_id": row.project_id, "domain_id": row.domain_id, "service_id": of.service_id, "region_id": of.region_id,
        "resource_name": of.resource_name, "resource_limit": row.resource_limit, "description": row.description,
        "links": {"self": request.url(f"{ALL}/{row.id}")},
    }  # fmt: skip


@operation("GET", f"{ALL}/model", action="identity:get_limit_model", answer=wrapped("model", MODEL))
def get_limit_model(_request: Request) -> Body:
    """Show how the limits of domains and their projects relate."""
    name = CONF.identity.limit_model
    return {"model": {"name": name, "description": limit.MODELS[name]}}


@operation("POST", ALL, action="identity:create_limits", status=201, body=NEW_LIMITS, answer=MADE)
def create_limits(request: Request) -> Body:
    """Create limits."""
    rows = request.run(lambda tx: limit.create_limits(tx, request.body["limits"]))
    return {"limits": [view(request, row) for row in rows]}


@operation("GET", ALL, action="identity:list_limits", query=LIMIT_QUERY, answer=MANY)
def list_limits(request: Request) -> Body:
    """List limits: those of one's own project, or of one's own domain and its projects."""
    wanted = views.filters(request, *limit.FILTERS)
    return views.listing(request, "limits", limit.list_limits(request.actor, wanted), Limit, view)


@operation("GET", PATH, action="identity:get_limit", answer=ONE)
def get_limit(request: Request) -> Body:
    """Show a limit."""
    return {"limit": view(request, request.read(lambda tx: limit.get_limit(tx, request.actor, request.path["limit_id"])))}


@operation("PATCH", PATH, action="identity:update_limit", body=changed("limit", LIMIT_IN), answer=ONE)
def update_limit(request: Request) -> Body:
    """Change a limit."""
    row = request.run(lambda tx: limit.update_limit(tx, request.actor, request.path["limit_id"], request.body["limit"]))
    return {"limit": view(request, row)}


@operation("DELETE", PATH, action="identity:delete_limit", status=204)
def delete_limit(request: Request) -> None:
    """Delete a limit."""
    request.run(lambda tx: limit.delete_limit(tx, request.actor, request.path["limit_id"]))
