"""`/v3/services`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.api.shapes.answers import changed, listed, shown
from identity.api.shapes.catalog import SERVICE, SERVICE_IN
from identity.api.shapes.query import queried
from identity.models import Service
from identity.service import catalog, service

Body = dict[str, Any]
ONE, MANY = shown("service", SERVICE), listed("services", SERVICE)


@operation("POST", "/v3/services", action="identity:create_service", status=201, body=bodies.body("service", SERVICE_IN, "type"), answer=ONE)  # fmt: skip
def create_service(request: Request) -> Body:
    """Create a service."""
    row = request.run(lambda tx: service.create_service(tx, request.body["service"]))
    request.afterwards(lambda: catalog.forget(request.service.db))
    return {"service": views.service(request, row)}


@operation("GET", "/v3/services", action="identity:list_services", query=queried("type", "name"), answer=MANY)
def list_services(request: Request) -> Body:
    """List services."""
    return views.listing(request, "services", service.list_services(views.filters(request, "type", "name")), Service, views.service)


@operation("GET", "/v3/services/{service_id}", action="identity:get_service", answer=ONE)
def get_service(request: Request) -> Body:
    """Show a service."""
    return {"service": views.service(request, request.read(lambda tx: service.get_service(tx, request.path["service_id"])))}


@operation("PATCH", "/v3/services/{service_id}", action="identity:update_service", body=changed("service", SERVICE_IN, extra=True), answer=ONE)  # fmt: skip
def update_service(request: Request) -> Body:
    """Change a service."""
    row = request.run(lambda tx: service.update_service(tx, request.path["service_id"], request.body["service"]))
    catalog.forget(request.service.db)
    return {"service": views.service(request, row)}


@operation("DELETE", "/v3/services/{service_id}", action="identity:delete_service", status=204)
def delete_service(request: Request) -> None:
    """Delete a service and its endpoints."""
    request.run(lambda tx: service.delete_service(tx, request.path["service_id"]))
    catalog.forget(request.service.db)
