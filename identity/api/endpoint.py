"""`/v3/endpoints`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import TEXT
from identity.api import bodies, views
from identity.api.shapes.answers import PAGING, changed, listed, shown
from identity.api.shapes.catalog import ENDPOINT, ENDPOINT_IN, INTERFACE
from identity.models import Endpoint
from identity.service import catalog, endpoint

Body = dict[str, Any]
ONE, MANY = shown("endpoint", ENDPOINT), listed("endpoints", ENDPOINT)
NEW = bodies.body("endpoint", ENDPOINT_IN, "interface", "url", "service_id")
QUERY = {"interface": INTERFACE, "service_id": TEXT, "region_id": TEXT, **PAGING}


@operation("POST", "/v3/endpoints", action="identity:create_endpoint", status=201, body=NEW, answer=ONE)
def create_endpoint(request: Request) -> Body:
    """Create an endpoint."""
    row = request.run(lambda tx: endpoint.create_endpoint(tx, request.body["endpoint"]))
    request.afterwards(lambda: catalog.forget(request.service.db))
    return {"endpoint": views.endpoint(request, row)}


@operation("GET", "/v3/endpoints", action="identity:list_endpoints", query=QUERY, answer=MANY)
def list_endpoints(request: Request) -> Body:
    """List endpoints."""
    wanted = views.filters(request, "interface", "service_id", "region_id")
    return views.listing(request, "endpoints", endpoint.list_endpoints(wanted), Endpoint, views.endpoint)


@operation("GET", "/v3/endpoints/{endpoint_id}", action="identity:get_endpoint", answer=ONE)
def get_endpoint(request: Request) -> Body:
    """Show an endpoint."""
    return {"endpoint": views.endpoint(request, request.read(lambda tx: endpoint.get_endpoint(tx, request.path["endpoint_id"])))}


@operation("PATCH", "/v3/endpoints/{endpoint_id}", action="identity:update_endpoint", body=changed("endpoint", ENDPOINT_IN, extra=True), answer=ONE)  # fmt: skip
def update_endpoint(request: Request) -> Body:
    """Change an endpoint."""
    row = request.run(lambda tx: endpoint.update_endpoint(tx, request.path["endpoint_id"], request.body["endpoint"]))
    catalog.forget(request.service.db)
    return {"endpoint": views.endpoint(request, row)}


@operation("DELETE", "/v3/endpoints/{endpoint_id}", action="identity:delete_endpoint", status=204)
def delete_endpoint(request: Request) -> None:
    """Delete an endpoint."""
    request.run(lambda tx: endpoint.delete_endpoint(tx, request.path["endpoint_id"]))
    catalog.forget(request.service.db)
