"""Mappings: the rules that a protocol's log-ins go through."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from common.db import Tx
from common.errors import Conflict
from identity.models import FederationMapping, FederationProtocol
from identity.service.federation import rules
from identity.service.rows import Values, assign, find, flush, store

COLUMNS = ("rules", "schema_version")


def create_mapping(tx: Tx, mapping_id: str, values: Values) -> FederationMapping:
    """A new mapping. Raises Conflict, BadRequest (rules that could never be carried out)."""
    rules.check(values["rules"])
    if tx.get(FederationMapping, mapping_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store mapping - Duplicate entry found with ID {mapping_id}.")
    row = FederationMapping(id=mapping_id, schema_version="1.0")
    assign(row, values, COLUMNS, values)
    store(tx, row, "mapping", mapping_id)
    return row


def get_mapping(tx: Tx, mapping_id: str, *, lock: bool = False) -> FederationMapping:
    """The mapping. Raises NotFound."""
    return find(tx, FederationMapping, mapping_id, "mapping", lock=lock)


def list_mappings() -> Select[Any]:
    """All mappings."""
    return select(FederationMapping)


def update_mapping(tx: Tx, mapping_id: str, values: Values) -> FederationMapping:
    """Change a mapping; the next log-in goes by it. Raises BadRequest."""
    rules.check(values["rules"])
    row = get_mapping(tx, mapping_id, lock=True)
    assign(row, values, COLUMNS, values)
    flush(tx, "mapping", mapping_id)
    return row


def delete_mapping(tx: Tx, mapping_id: str) -> None:
    """Delete a mapping. Raises Conflict while a protocol uses it: its log-ins could only fail."""
    row = get_mapping(tx, mapping_id, lock=True)
    user = tx.scalars(select(FederationProtocol).where(FederationProtocol.mapping_id == mapping_id).limit(1)).first()
    if user is not None:
        raise Conflict(f"The mapping {mapping_id} is used by protocol {user.id} of identity provider {user.identity_provider_id}.")
    tx.delete(row)
    flush(tx, "mapping", mapping_id)
