"""`/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.api.federation import shapes
from identity.api.shapes.answers import PAGING
from identity.models import FederationProtocol
from identity.service.federation import provider as service

Body = dict[str, Any]
PATH = shapes.PATH + "/identity_providers/{idp_id}/protocols"
ONE = PATH + "/{protocol_id}"


@operation("PUT", ONE, action="identity:create_protocol", status=201, body=shapes.CREATE_PROTOCOL, answer=shapes.one("protocol"))
def create_protocol(request: Request) -> Body:
    """Let a provider be asked by a protocol, and its answer be read by a mapping."""
    provider_id, name, values = request.path["idp_id"], shapes.new_id(request, "protocol_id"), request.body["protocol"]
    return {"protocol": shapes.protocol(request, request.run(lambda tx: service.create_protocol(tx, provider_id, name, values)))}


@operation("GET", PATH, action="identity:list_protocols", query=PAGING, answer=shapes.many("protocol"))
def list_protocols(request: Request) -> Body:
    """List the protocols of a provider."""
    found = service.list_protocols(request.path["idp_id"])
    return views.listing(request, "protocols", found, FederationProtocol, shapes.listed_protocol)


@operation("GET", ONE, action="identity:get_protocol", answer=shapes.one("protocol"))
def get_protocol(request: Request) -> Body:
    """Show a protocol."""
    row = request.read(lambda tx: service.get_protocol(tx, request.path["idp_id"], request.path["protocol_id"]))
    return {"protocol": shapes.protocol(request, row)}


@operation("PATCH", ONE, action="identity:update_protocol", body=shapes.UPDATE_PROTOCOL, answer=shapes.one("protocol"))
def update_protocol(request: Request) -> Body:
    """Change a protocol."""
    provider_id, name, values = request.path["idp_id"], request.path["protocol_id"], request.body["protocol"]
    return {"protocol": shapes.protocol(request, request.run(lambda tx: service.update_protocol(tx, provider_id, name, values)))}


@operation("DELETE", ONE, action="identity:delete_protocol", status=204)
def delete_protocol(request: Request) -> None:
    """Delete a protocol."""
    request.run(lambda tx: service.delete_protocol(tx, request.path["idp_id"], request.path["protocol_id"]))
    request.service.authenticate.forget()
