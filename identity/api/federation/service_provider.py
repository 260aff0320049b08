"""`/v3/OS-FEDERATION/service_providers`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.api.federation import shapes
from identity.models import ServiceProvider
from identity.service import catalog
from identity.service.federation import service_provider as service

Body = dict[str, Any]
PATH = shapes.PATH + "/service_providers"
ONE = PATH + "/{sp_id}"


@operation(
    "PUT",
    ONE,
    action="identity:create_service_provider",
    status=201,
    body=shapes.CREATE_SERVICE_PROVIDER,
    answer=shapes.one("service_provider"),
)
def create_service_provider(request: Request) -> Body:
    """Create a service provider."""
    name, values = shapes.new_id(request, "sp_id"), request.body["service_provider"]
    row = request.run(lambda tx: service.create_service_provider(tx, name, values))
    catalog.forget(request.service.db)
    return {"service_provider": shapes.service_provider(request, row)}


@operation("GET", PATH, action="identity:list_service_providers", query=shapes.FILTERS, answer=shapes.many("service_provider"))
def list_service_providers(request: Request) -> Body:
    """List service providers."""
    wanted = views.filters(request, "id", flags=("enabled",))
    return views.listing(request, "service_providers", service.list_service_providers(wanted), ServiceProvider, shapes.service_provider)


@operation("GET", ONE, action="identity:get_service_provider", answer=shapes.one("service_provider"))
def get_service_provider(request: Request) -> Body:
    """Show a service provider."""
    return {
        "service_provider": shapes.service_provider(
            request, request.read(lambda tx: service.get_service_provider(tx, request.path["sp_id"]))
        )
    }


@operation(
    "PATCH", ONE, action="identity:update_service_provider", body=shapes.UPDATE_SERVICE_PROVIDER, answer=shapes.one("service_provider")
)
def update_service_provider(request: Request) -> Body:
    """Change a service provider."""
    row = request.run(lambda tx: service.update_service_provider(tx, request.path["sp_id"], request.body["service_provider"]))
    catalog.forget(request.service.db)
    return {"service_provider": shapes.service_provider(request, row)}


@operation("DELETE", ONE, action="identity:delete_service_provider", status=204)
def delete_service_provider(request: Request) -> None:
    """Delete a service provider."""
    request.run(lambda tx: service.delete_service_provider(tx, request.path["sp_id"]))
    catalog.forget(request.service.db)
