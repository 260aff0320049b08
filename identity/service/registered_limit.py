"""Registered limits: how much of a resource of a service everybody has for whom nothing else is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import Limit, Region, RegisteredLimit, Service
from identity.service.rows import Values, filtered, find, flush, same_id

COLUMNS = ("service_id", "region_id", "resource_name", "default_limit", "description")
FILTERS = {name: getattr(RegisteredLimit, name) for name in ("service_id", "region_id", "resource_name")}


def create_registered_limits(tx: Tx, given: Sequence[Values]) -> list[RegisteredLimit]:
    """New ones, all or none. Raises BadRequest (unknown service or region), Conflict. Three queries, whatever their number."""
    must_exist(tx, "registered_limit", given)
    rows = []
    for values in given:
        row = RegisteredLimit()
        _assign(row, values)
        rows.append(row)
    tx.add_all(rows)
    flush(tx, "registered_limit", ", ".join(row.resource_name for row in rows))
    return rows


def _assign(row: RegisteredLimit, values: Values) -> None:
    for name in COLUMNS:
        if name in values:
            setattr(row, name, int(values[name]) if name == "default_limit" else values[name])


def must_exist(tx: Tx, what: str, given: Sequence[Values]) -> None:
    """Raise BadRequest where one names a service or a region that is not there. Two queries at the most."""
    for name, model in (("service_id", Service), ("region_id", Region)):
        asked = {values[name] for values in given if values.get(name) is not None}
        missing = asked - set(tx.scalars(select(model.id).where(model.id.in_(asked)))) if asked else set()
        if missing:
            raise BadRequest(f"Invalid input for field/attribute {what}.{name}. Value: {min(missing)}. There is no such {name[:-3]}.")


def list_registered_limits(filters: Mapping[str, Any]) -> Select[Any]:
    """All registered limits that the filters let through."""
    return filtered(select(RegisteredLimit), filters, FILTERS)


def get_registered_limit(tx: Tx, limit_id: str) -> RegisteredLimit:
    """The registered limit. Raises NotFound."""
    return find(tx, RegisteredLimit, limit_id, "registered limit")


def update_registered_limit(tx: Tx, limit_id: str, values: Values) -> RegisteredLimit:
    """Change a registered limit. Raises NotFound, BadRequest, Conflict; Forbidden while a project or domain has another instead."""
    same_id(values, limit_id, "registered_limit")
    row = _free(tx, limit_id)
    must_exist(tx, "registered_limit", [values])
    _assign(row, values)
    flush(tx, "registered_limit", row.resource_name)
    return row


def delete_registered_limit(tx: Tx, limit_id: str) -> None:
    """Delete a registered limit. Raises NotFound; Forbidden while a project or domain has another instead."""
    tx.delete(_free(tx, limit_id))
    tx.flush()


def _free(tx: Tx, limit_id: str) -> RegisteredLimit:
    """The row, locked, so that no limit comes to refer to it; none does."""
    row = find(tx, RegisteredLimit, limit_id, "registered limit", lock=True)
    if tx.scalar(select(Limit.id).where(Limit.registered_limit_id == limit_id).limit(1)) is not None:
        raise Forbidden(f"Unable to update or delete registered limit {limit_id} because there are project limits associated with it.")
    return row
