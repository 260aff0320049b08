"""`/v3/services`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.models import Service
from identity.service import catalog
from identity.service.rows import find

Body = dict[str, Any]


@operation("POST", "/v3/services", action="identity:create_service", status=201, body=bodies.body("service", bodies.SERVICE, "type"), answer=bodies.one("service"))  # fmt: skip
def create_service(request: Request) -> Body:
    """Create a service."""
    return {"service": views.service(request, request.run(lambda tx: catalog.create_service(tx, request.body["service"])))}


@operation("GET", "/v3/services", action="identity:list_services", answer=bodies.many("services"))
def list_services(request: Request) -> Body:
    """List services."""
    return views.listing(request, "services", catalog.list_services(views.filters(request, "type", "name")), Service, views.service)


@operation("GET", "/v3/services/{service_id}", action="identity:get_service", answer=bodies.one("service"))
def get_service(request: Request) -> Body:
    """Show a service."""
    return {"service": views.service(request, request.read(lambda tx: find(tx, Service, request.path["service_id"], "service")))}


@operation("PATCH", "/v3/services/{service_id}", action="identity:update_service", body=bodies.body("service", bodies.SERVICE), answer=bodies.one("service"))  # fmt: skip
def update_service(request: Request) -> Body:
    """Change a service."""
    row = request.run(lambda tx: catalog.update_service(tx, request.path["service_id"], request.body["service"]))
    return {"service": views.service(request, row)}


@operation("DELETE", "/v3/services/{service_id}", action="identity:delete_service", status=204)
def delete_service(request: Request) -> None:
    """Delete a service."""
    request.run(lambda tx: catalog.delete_service(tx, request.path["service_id"]))
