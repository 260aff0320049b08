"""`/v3/OS-FEDERATION/identity_providers`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.api.federation import shapes
from identity.models import IdentityProvider
from identity.service.federation import provider as service

Body = dict[str, Any]
PATH = shapes.PATH + "/identity_providers"
ONE = PATH + "/{idp_id}"


@operation(
    "PUT",
    ONE,
    action="identity:create_identity_provider",
    status=201,
    body=shapes.CREATE_IDENTITY_PROVIDER,
    answer=shapes.one("identity_provider"),
)
def create_identity_provider(request: Request) -> Body:
    """Create an identity provider."""
    name, values = shapes.new_id(request, "idp_id"), request.body["identity_provider"]
    return {"identity_provider": shapes.provider(request, request.run(lambda tx: service.create_provider(tx, name, values)))}


@operation("GET", PATH, action="identity:list_identity_providers", query=shapes.FILTERS, answer=shapes.many("identity_provider"))
def list_identity_providers(request: Request) -> Body:
    """List identity providers."""
    wanted = views.filters(request, "id", flags=("enabled",))
    return views.listing(request, "identity_providers", service.list_providers(wanted), IdentityProvider, shapes.provider)


@operation("GET", ONE, action="identity:get_identity_provider", answer=shapes.one("identity_provider"))
def get_identity_provider(request: Request) -> Body:
    """Show an identity provider."""
    return {"identity_provider": shapes.provider(request, request.read(lambda tx: service.get_provider(tx, request.path["idp_id"])))}


@operation(
    "PATCH", ONE, action="identity:update_identity_provider", body=shapes.UPDATE_IDENTITY_PROVIDER, answer=shapes.one("identity_provider")
)
def update_identity_provider(request: Request) -> Body:
    """Change an identity provider."""
    row = request.run(lambda tx: service.update_provider(tx, request.path["idp_id"], request.body["identity_provider"]))
    request.service.authenticate.forget()
    return {"identity_provider": shapes.provider(request, row)}


@operation("DELETE", ONE, action="identity:delete_identity_provider", status=204)
def delete_identity_provider(request: Request) -> None:
    """Delete an identity provider."""
    request.run(lambda tx: service.delete_provider(tx, request.path["idp_id"]))
    request.service.authenticate.forget()
