"""Endpoints: where a service answers. A URL may hold places that each token's catalogue fills."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import BadRequest
from identity.models import Endpoint, Region, Service
from identity.service.rows import Values, assign, filtered, find, flush, same_id, store

COLUMNS = ("interface", "url", "enabled", "service_id", "region_id")
KNOWN = (*COLUMNS, "id", "region", "links")
FILTERS = {"interface": Endpoint.interface, "service_id": Endpoint.service_id, "region_id": Endpoint.region_id}
FILLED = ("user_id", "project_id", "tenant_id")
PLACEHOLDER = re.compile(r"[$%]\(([^)]*)\)(s?)")


def create_endpoint(tx: Tx, values: Values) -> Endpoint:
    """A new endpoint; its region is made where the body names an unknown one by the old `region`. Raises BadRequest."""
    endpoint = Endpoint(extra={}, enabled=True)
    assign(endpoint, _checked(tx, values), COLUMNS, KNOWN)
    store(tx, endpoint, "endpoint", endpoint.url)
    return endpoint


def _checked(tx: Tx, values: Values) -> dict[str, Any]:
    """The values with a region that exists and a URL that can be filled."""
    checked = dict(values)
    _check_url(values.get("url", ""))
    if "service_id" in values and tx.get(Service, values["service_id"]) is None:
        raise BadRequest(f"Invalid input for field/attribute endpoint.service_id. Value: {values['service_id']}. Could not find service.")
    region_id = values.get("region_id")
    if region_id is not None and tx.get(Region, region_id) is None:
        raise BadRequest(f"Invalid input for field/attribute endpoint.region_id. Value: {region_id}. Could not find region.")
    if values.get("region") and region_id is None:
        tx.execute(insert(Region).values(id=values["region"]).on_conflict_do_nothing())
        checked["region_id"] = values["region"]
    return checked


def _check_url(url: str) -> None:
    wrong = [found[0] for found in PLACEHOLDER.finditer(url) if found[1] not in FILLED or not found[2]]
    if wrong:
        raise BadRequest(
            f"Invalid input for field/attribute endpoint.url. Value: {url}. {wrong[0]} is not a placeholder that is known here."
        )


def list_endpoints(filters: Values) -> Select[Any]:
    """All endpoints that the filters let through."""
    return filtered(select(Endpoint), filters, FILTERS)


def get_endpoint(tx: Tx, endpoint_id: str) -> Endpoint:
    """The endpoint. Raises NotFound."""
    return find(tx, Endpoint, endpoint_id, "endpoint")


def update_endpoint(tx: Tx, endpoint_id: str, values: Values) -> Endpoint:
    """Change an endpoint. Raises NotFound, BadRequest."""
    same_id(values, endpoint_id, "endpoint")
    endpoint = find(tx, Endpoint, endpoint_id, "endpoint", lock=True)
    assign(endpoint, _checked(tx, values), COLUMNS, KNOWN)
    flush(tx, "endpoint", endpoint.url)
    return endpoint


def delete_endpoint(tx: Tx, endpoint_id: str) -> None:
    """Delete an endpoint, and with it what puts it into projects or gives it a policy. Raises NotFound."""
    tx.delete(find(tx, Endpoint, endpoint_id, "endpoint", lock=True))
    tx.flush()
