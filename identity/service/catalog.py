"""Regions, services and endpoints, and the catalogue that a token's bearer is given."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Select, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from common.db import Database, Tx
from common.errors import BadRequest, Forbidden
from identity.models import Endpoint, Region, Service
from identity.service.rows import Values, assign, described, filtered, find, flush, store
from identity.service.standing import query
from identity.service.token import Scope

REGION_COLUMNS = ("description", "parent_region_id")
REGION_KNOWN = (*REGION_COLUMNS, "id", "links")
REGION_FILTERS = {"parent_region_id": Region.parent_region_id, "id": Region.id}
SERVICE_COLUMNS = ("type", "name", "description", "enabled")
SERVICE_KNOWN = (*SERVICE_COLUMNS, "id", "links")
SERVICE_FILTERS = {"type": Service.type, "name": Service.name}
ENDPOINT_COLUMNS = ("interface", "url", "enabled", "service_id", "region_id")
ENDPOINT_KNOWN = (*ENDPOINT_COLUMNS, "id", "region", "links")
ENDPOINT_FILTERS = {"interface": Endpoint.interface, "service_id": Endpoint.service_id, "region_id": Endpoint.region_id}
FILLED = ("user_id", "project_id", "tenant_id")
PLACEHOLDER = re.compile(r"[$%]\(([^)]*)\)(s?)")
CATALOGUE = text("""
SELECT json_agg(json_build_object('id', s.id, 'type', s.type, 'name', coalesce(s.name, ''), 'endpoints', (
    SELECT coalesce(json_agg(json_build_object(
        'id', e.id, 'interface', e.interface, 'region_id', e.region_id, 'region', e.region_id, 'url', e.url
    ) ORDER BY e.region_id, e.interface DESC, e.id), '[]')
    FROM identity.endpoint e WHERE e.service_id = s.id AND e.enabled)) ORDER BY s.type, s.name, s.id) AS services
FROM identity.service s WHERE s.enabled
""")


def catalogue(db: Database, user_id: str, scope: Scope) -> list[dict[str, Any]]:
    """Every enabled service with its endpoints; a URL that needs a project is left out where the scope is none. One query."""
    row = query(db, CATALOGUE, {})
    known: dict[str, str | None] = {"user_id": user_id}
    if scope.kind == "project":
        known |= {"project_id": scope.id, "tenant_id": scope.id}
    services: list[dict[str, Any]] = (row or {}).get("services") or []
    for service in services:
        filled = [{**endpoint, "url": _fill(endpoint["url"], known)} for endpoint in service["endpoints"]]
        service["endpoints"] = [endpoint for endpoint in filled if endpoint["url"] is not None]
    return services


def _fill(url: str, known: dict[str, str | None]) -> str | None:
    """The URL with its placeholders filled; None where a value is missing."""
    if any(found[1] not in known for found in PLACEHOLDER.finditer(url)):
        return None
    return PLACEHOLDER.sub(lambda found: str(known[found[1]]), url)


def create_region(tx: Tx, values: Values) -> Region:
    """A new region; the client may name it. Raises Conflict (id), NotFound (parent)."""
    parent = values.get("parent_region_id")
    if parent:
        find(tx, Region, parent, "region")
    region = Region(extra={}, description="")
    if values.get("id"):
        region.id = values["id"]
    assign(region, described(values), REGION_COLUMNS, REGION_KNOWN)
    store(tx, region, "region", values.get("id"))
    return region


def list_regions(filters: Values) -> Select[Any]:
    """All regions that the filters let through."""
    return filtered(select(Region), filters, REGION_FILTERS)


def update_region(tx: Tx, region_id: str, values: Values) -> Region:
    """Change a region. Raises BadRequest where it would lie within itself."""
    region = find(tx, Region, region_id, "region", lock=True)
    parent = values.get("parent_region_id")
    if parent:
        find(tx, Region, parent, "region")
        if parent in _below(tx, region_id):
            raise BadRequest(f"parent_region_id {parent} lies within region {region_id}.")
    assign(region, described(values), REGION_COLUMNS, REGION_KNOWN)
    flush(tx, "region", region_id)
    return region


def _below(tx: Tx, region_id: str) -> list[str]:
    """The region and all within it."""
    start = select(Region.id).where(Region.id == region_id).cte("below", recursive=True)
    below = start.union(select(Region.id).join(start, Region.parent_region_id == start.c.id))
    return list(tx.scalars(select(below.c.id)))


def delete_region(tx: Tx, region_id: str) -> None:
    """Delete a region and all within it. Raises Forbidden where an endpoint is in one of them."""
    find(tx, Region, region_id, "region", lock=True)
    gone = _below(tx, region_id)
    if tx.scalar(select(func.count()).where(Endpoint.region_id.in_(gone))):
        raise Forbidden(f"Unable to delete region {region_id} because it or its child regions have associated endpoints.")
    tx.execute(delete(Region).where(Region.id.in_(gone)))


def create_service(tx: Tx, values: Values) -> Service:
    """A new service; two of a type may be."""
    service = Service(extra={}, enabled=True)
    assign(service, values, SERVICE_COLUMNS, SERVICE_KNOWN)
    store(tx, service, "service", service.name)
    return service


def list_services(filters: Values) -> Select[Any]:
    """All services that the filters let through."""
    return filtered(select(Service), filters, SERVICE_FILTERS)


def update_service(tx: Tx, service_id: str, values: Values) -> Service:
    """Change a service."""
    service = find(tx, Service, service_id, "service", lock=True)
    assign(service, values, SERVICE_COLUMNS, SERVICE_KNOWN)
    flush(tx, "service", service.name)
    return service


def delete_service(tx: Tx, service_id: str) -> None:
    """Delete a service with its endpoints."""
    tx.delete(find(tx, Service, service_id, "service", lock=True))
    tx.flush()


def create_endpoint(tx: Tx, values: Values) -> Endpoint:
    """A new endpoint; its region is made where the body names an unknown one by the old `region`. Raises BadRequest."""
    endpoint = Endpoint(extra={}, enabled=True)
    assign(endpoint, _checked(tx, values), ENDPOINT_COLUMNS, ENDPOINT_KNOWN)
    store(tx, endpoint, "endpoint", endpoint.url)
    return endpoint


def _checked(tx: Tx, values: Values) -> dict[str, Any]:
    """The values with a region that exists and a URL that can be filled."""
    checked = dict(values)
    _check_url(values.get("url", ""))
    if "service_id" in values and tx.get(Service, values["service_id"]) is None:
        raise BadRequest(f"Could not find service: {values['service_id']}.")
    if values.get("region_id") and tx.get(Region, values["region_id"]) is None:
        raise BadRequest(f"Could not find region: {values['region_id']}.")
    if values.get("region") and "region_id" not in values:
        tx.execute(insert(Region).values(id=values["region"]).on_conflict_do_nothing())
        checked["region_id"] = values["region"]
    return checked


def _check_url(url: str) -> None:
    wrong = [found[0] for found in PLACEHOLDER.finditer(url) if found[1] not in FILLED or not found[2]]
    if wrong:
        raise BadRequest(f"An invalid endpoint URL: {url}: {wrong[0]} is not a placeholder that is known here.")


def list_endpoints(filters: Values) -> Select[Any]:
    """All endpoints that the filters let through."""
    return filtered(select(Endpoint), filters, ENDPOINT_FILTERS)


def update_endpoint(tx: Tx, endpoint_id: str, values: Values) -> Endpoint:
    """Change an endpoint. Raises BadRequest."""
    endpoint = find(tx, Endpoint, endpoint_id, "endpoint", lock=True)
    assign(endpoint, _checked(tx, values), ENDPOINT_COLUMNS, ENDPOINT_KNOWN)
    flush(tx, "endpoint", endpoint.url)
    return endpoint


def delete_endpoint(tx: Tx, endpoint_id: str) -> None:
    """Delete an endpoint."""
    tx.delete(find(tx, Endpoint, endpoint_id, "endpoint", lock=True))
    tx.flush()
