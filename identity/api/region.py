"""`/v3/regions`."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import TEXT
from identity.api import bodies, views
from identity.api.shapes.answers import PAGING, changed, listed, shown
from identity.api.shapes.catalog import NEW_REGION_IN, REGION, REGION_IN
from identity.models import Region
from identity.service import region
from identity.service.rows import same_id

Body = dict[str, Any]
ONE, MANY = shown("region", REGION), listed("regions", REGION)


@operation("POST", "/v3/regions", action="identity:create_region", status=201, body=bodies.body("region", NEW_REGION_IN), answer=ONE)
def create_region(request: Request) -> Body:
    """Create a region."""
    return {"region": views.region(request, request.run(lambda tx: region.create_region(tx, request.body["region"])))}


@operation("PUT", "/v3/regions/{region_id}", action="identity:create_region", status=201, body=bodies.body("region", NEW_REGION_IN), answer=ONE)  # fmt: skip
def create_region_named(request: Request) -> Body:
    """Create a region with the id that the path says."""
    region_id, values = request.path["region_id"], request.body["region"]
    same_id(values, region_id, "region")
    return {"region": views.region(request, request.run(lambda tx: region.create_region(tx, {**values, "id": region_id})))}


@operation("GET", "/v3/regions", action="identity:list_regions", query={"parent_region_id": TEXT, **PAGING}, answer=MANY)
def list_regions(request: Request) -> Body:
    """List regions."""
    return views.listing(request, "regions", region.list_regions(views.filters(request, "parent_region_id")), Region, views.region)


@operation("GET", "/v3/regions/{region_id}", action="identity:get_region", answer=ONE)
def get_region(request: Request) -> Body:
    """Show a region."""
    return {"region": views.region(request, request.read(lambda tx: region.get_region(tx, request.path["region_id"])))}


@operation("PATCH", "/v3/regions/{region_id}", action="identity:update_region", body=changed("region", REGION_IN, extra=True), answer=ONE)
def update_region(request: Request) -> Body:
    """Change a region."""
    row = request.run(lambda tx: region.update_region(tx, request.path["region_id"], request.body["region"]))
    return {"region": views.region(request, row)}


@operation("DELETE", "/v3/regions/{region_id}", action="identity:delete_region", status=204)
def delete_region(request: Request) -> None:
    """Delete a region and those within it."""
    request.run(lambda tx: region.delete_region(tx, request.path["region_id"]))
