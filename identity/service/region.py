"""Regions: places that endpoints belong to, one within another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select

from common.db import Tx, lock_name
from common.errors import BadRequest, Forbidden
from identity.models import Endpoint, Region
from identity.service.rows import Values, assign, described, filtered, find, flush, same_id, store

COLUMNS = ("description", "parent_region_id")
KNOWN = (*COLUMNS, "id", "links")
FILTERS = {"parent_region_id": Region.parent_region_id}


def create_region(tx: Tx, values: Values) -> Region:
    """A new region; the client may name it. Raises Conflict (id), NotFound (parent)."""
    _find_parent(tx, values)
    region = Region(extra={}, description="")
    if values.get("id"):
        region.id = values["id"]
    assign(region, described(values), COLUMNS, KNOWN)
    store(tx, region, "region", values.get("id"))
    return region


def _find_parent(tx: Tx, values: Values) -> None:
    if values.get("parent_region_id") is not None:
        find(tx, Region, values["parent_region_id"], "region")


def list_regions(filters: Values) -> Select[Any]:
    """All regions that the filters let through."""
    return filtered(select(Region), filters, FILTERS)


def get_region(tx: Tx, region_id: str) -> Region:
    """The region. Raises NotFound."""
    return find(tx, Region, region_id, "region")


def update_region(tx: Tx, region_id: str, values: Values) -> Region:
    """Change a region. Raises NotFound (also of the parent), BadRequest where it would lie within itself."""
    same_id(values, region_id, "region")
    if values.get("parent_region_id") is not None:
        lock_name(tx, "identity.regions")  # two that move at once may not come to lie within each other
    region = find(tx, Region, region_id, "region", lock=True)
    _find_parent(tx, values)
    parent = values.get("parent_region_id")
    if parent is not None and parent in within(tx, region_id):
        raise BadRequest(f"Invalid input for field/attribute region.parent_region_id. Value: {parent}. It lies within region {region_id}.")
    assign(region, described(values), COLUMNS, KNOWN)
    flush(tx, "region", region_id)
    return region


def within(tx: Tx, region_id: str) -> list[str]:
    """The region and all within it."""
    start = select(Region.id).where(Region.id == region_id).cte("within", recursive=True)
    below = start.union(select(Region.id).join(start, Region.parent_region_id == start.c.id))
    return list(tx.scalars(select(below.c.id)))


def delete_region(tx: Tx, region_id: str) -> None:
    """Delete a region and all within it. Raises NotFound; Forbidden where an endpoint is in one of them."""
    find(tx, Region, region_id, "region", lock=True)
    gone = _held(tx, region_id)
    if tx.scalar(select(Endpoint.id).where(Endpoint.region_id.in_(gone)).limit(1)) is not None:
        raise Forbidden(f"Unable to delete region {region_id} because it or its child regions have associated endpoints.")
    tx.execute(delete(Region).where(Region.id.in_(gone)))


def _held(tx: Tx, region_id: str) -> list[str]:
    """The region and all within it, locked, so that nothing comes into them any more."""
    found: list[str] = []
    while set(now := within(tx, region_id)) != set(found):
        found = now
        tx.execute(select(Region.id).where(Region.id.in_(found)).order_by(Region.id).with_for_update())
    return found
