"""`/v3/endpoints`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.models import Endpoint
from identity.service import catalog
from identity.service.rows import find

Body = dict[str, Any]


@operation("POST", "/v3/endpoints", action="identity:create_endpoint", status=201, body=bodies.body("endpoint", bodies.ENDPOINT, "interface", "url", "service_id"), answer=bodies.one("endpoint"))  # fmt: skip
def create_endpoint(request: Request) -> Body:
    """Create an endpoint."""
    return {"endpoint": views.endpoint(request, request.run(lambda tx: catalog.create_endpoint(tx, request.body["endpoint"])))}


@operation("GET", "/v3/endpoints", action="identity:list_endpoints", answer=bodies.many("endpoints"))
def list_endpoints(request: Request) -> Body:
    """List endpoints."""
    return views.listing(
        request,
        "endpoints",
        catalog.list_endpoints(views.filters(request, "interface", "service_id", "region_id")),
        Endpoint,
        views.endpoint,
    )


@operation("GET", "/v3/endpoints/{endpoint_id}", action="identity:get_endpoint", answer=bodies.one("endpoint"))
def get_endpoint(request: Request) -> Body:
    """Show an endpoint."""
    return {"endpoint": views.endpoint(request, request.read(lambda tx: find(tx, Endpoint, request.path["endpoint_id"], "endpoint")))}


@operation("PATCH", "/v3/endpoints/{endpoint_id}", action="identity:update_endpoint", body=bodies.body("endpoint", bodies.ENDPOINT), answer=bodies.one("endpoint"))  # fmt: skip
def update_endpoint(request: Request) -> Body:
    """Change an endpoint."""
    row = request.run(lambda tx: catalog.update_endpoint(tx, request.path["endpoint_id"], request.body["endpoint"]))
    return {"endpoint": views.endpoint(request, row)}


@operation("DELETE", "/v3/endpoints/{endpoint_id}", action="identity:delete_endpoint", status=204)
def delete_endpoint(request: Request) -> None:
    """Delete an endpoint."""
    request.run(lambda tx: catalog.delete_endpoint(tx, request.path["endpoint_id"]))
