"""`/v3/OS-FEDERATION/mappings`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.api.federation import shapes
from identity.api.shapes.answers import PAGING
from identity.models import FederationMapping
from identity.service.federation import mapping as service

Body = dict[str, Any]
PATH = shapes.PATH + "/mappings"
ONE = PATH + "/{mapping_id}"


@operation("PUT", ONE, action="identity:create_mapping", status=201, body=shapes.CREATE_MAPPING, answer=shapes.one("mapping"))
def create_mapping(request: Request) -> Body:
    """Create a mapping."""
    name, values = shapes.new_id(request, "mapping_id"), shapes.values_of_mapping(request)
    return {"mapping": shapes.mapping(request, request.run(lambda tx: service.create_mapping(tx, name, values)))}


@operation("GET", PATH, action="identity:list_mappings", query=PAGING, answer=shapes.many("mapping"))
def list_mappings(request: Request) -> Body:
    """List mappings."""
    return views.listing(request, "mappings", service.list_mappings(), FederationMapping, shapes.mapping)


@operation("GET", ONE, action="identity:get_mapping", answer=shapes.one("mapping"))
def get_mapping(request: Request) -> Body:
    """Show a mapping."""
    return {"mapping": shapes.mapping(request, request.read(lambda tx: service.get_mapping(tx, request.path["mapping_id"])))}


@operation("PATCH", ONE, action="identity:update_mapping", body=shapes.UPDATE_MAPPING, answer=shapes.one("mapping"))
def update_mapping(request: Request) -> Body:
    """Change a mapping."""
    row = request.run(lambda tx: service.update_mapping(tx, request.path["mapping_id"], shapes.values_of_mapping(request)))
    return {"mapping": shapes.mapping(request, row)}


@operation("DELETE", ONE, action="identity:delete_mapping", status=204)
def delete_mapping(request: Request) -> None:
    """Delete a mapping."""
    request.run(lambda tx: service.delete_mapping(tx, request.path["mapping_id"]))
