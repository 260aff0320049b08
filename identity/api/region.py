"""`/v3/regions`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.errors import BadRequest
from identity.api import bodies, views
from identity.models import Region
from identity.service import catalog
from identity.service.rows import find

Body = dict[str, Any]


@operation("POST", "/v3/regions", action="identity:create_region", status=201, body=bodies.body("region", bodies.REGION), answer=bodies.one("region"))  # fmt: skip
def create_region(request: Request) -> Body:
    """Create a region."""
    return {"region": views.region(request, request.run(lambda tx: catalog.create_region(tx, request.body["region"])))}


@operation("PUT", "/v3/regions/{region_id}", action="identity:create_region", status=201, body=bodies.body("region", bodies.REGION), answer=bodies.one("region"))  # fmt: skip
def create_region_named(request: Request) -> Body:
    """Create a region with the id that the path says."""
    region_id, values = request.path["region_id"], request.body["region"]
    if values.get("id", region_id) != region_id:
        raise BadRequest(f"Invalid input for field/attribute region.id. Value: {values['id']}. It is not {region_id}, which the path says.")
    row = request.run(lambda tx: catalog.create_region(tx, {**values, "id": region_id}))
    return {"region": views.region(request, row)}


@operation("GET", "/v3/regions", action="identity:list_regions", answer=bodies.many("regions"))
def list_regions(request: Request) -> Body:
    """List regions."""
    return views.listing(request, "regions", catalog.list_regions(views.filters(request, "parent_region_id")), Region, views.region)


@operation("GET", "/v3/regions/{region_id}", action="identity:get_region", answer=bodies.one("region"))
def get_region(request: Request) -> Body:
    """Show a region."""
    return {"region": views.region(request, request.read(lambda tx: find(tx, Region, request.path["region_id"], "region")))}


@operation("PATCH", "/v3/regions/{region_id}", action="identity:update_region", body=bodies.body("region", bodies.REGION), answer=bodies.one("region"))  # fmt: skip
def update_region(request: Request) -> Body:
    """Change a region."""
    row = request.run(lambda tx: catalog.update_region(tx, request.path["region_id"], request.body["region"]))
    return {"region": views.region(request, row)}


@operation("DELETE", "/v3/regions/{region_id}", action="identity:delete_region", status=204)
def delete_region(request: Request) -> None:
    """Delete a region."""
    request.run(lambda tx: catalog.delete_region(tx, request.path["region_id"]))
