"""What the nouns of identity share: finding a row, storing it, unknown attributes, immutability, and how far an actor sees."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from common.auth import Actor
from common.db import Base, Tx
from common.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound

R = TypeVar("R", bound=Base)
Values = Mapping[str, Any]
UNIQUE, FOREIGN_KEY = "23505", "23503"
# Said of what is another domain's and of what is not there, in the same words.
DENIED = "You are not authorized to perform the requested action."
MATCHES = {
    "contains": ("like", "%{}%"), "icontains": ("ilike", "%{}%"), "startswith": ("like", "{}%"), "istartswith": ("ilike", "{}%"),
    "endswith": ("like", "%{}"), "iendswith": ("ilike", "%{}"),
}  # fmt: skip


def own_domain(actor: Actor) -> str | None:
    """The domain beyond which the actor sees nothing; None for who sees all: the cloud's admin, and any role on the system."""
    return None if actor.is_admin or actor.system else actor.domain_id or ""


def find(tx: Tx, model: type[R], row_id: str, what: str, actor: Actor | None = None, *, lock: bool = False) -> R:
    """The row. Raises NotFound; for an actor who sees one domain only, Forbidden for a foreign and an unknown row alike.

    lock: hold it to the end of the transaction, because it is about to be changed.
    """
    row = tx.get(model, row_id, with_for_update=lock or None, populate_existing=lock)
    domain = own_domain(actor) if actor is not None else None
    if domain is not None and (row is None or getattr(row, "domain_id", None) != domain):
        raise Forbidden(DENIED)
    if row is None:
        raise missing(what, row_id)
    return row


def missing(what: str, row_id: str | None) -> NotFound:
    """In Keystone's words."""
    return NotFound(f"Could not find {what}: {row_id}.")


def store(tx: Tx, row: Base, what: str, name: str | None) -> None:
    """Send the row to SQL. Raises Conflict where its name is taken, NotFound where something that it refers to is gone."""
    tx.add(row)
    flush(tx, what, name)


def flush(tx: Tx, what: str, name: str | None) -> None:
    """Send all changes to SQL; raises as `store`."""
    try:
        tx.flush()
    except IntegrityError as error:
        raise refusal(error, what, name) from None


def put(tx: Tx, statement: Insert, what: str, name: str | None) -> None:
    """Write rows that refer to others, which may go between the look and the write; what is there already stays. Raises as `store`."""
    try:
        tx.execute(statement.on_conflict_do_nothing())
    except IntegrityError as error:
        raise refusal(error, what, name) from None


def refusal(error: IntegrityError, what: str, name: str | None) -> ApiError:
    """What a broken constraint means to the client; another fault is raised again."""
    state = getattr(error.orig, "sqlstate", None)
    if state == UNIQUE:
        return Conflict(f"Conflict occurred attempting to store {what} - Duplicate entry found with name {name}.")
    if state == FOREIGN_KEY:
        return NotFound(f"Could not store {what} {name}: something that it refers to does not exist any more.")
    raise error


def same_id(values: Values, row_id: str, what: str) -> None:
    """Raise BadRequest for a body that names another id than the path: an id never changes."""
    if values.get("id", row_id) != row_id:
        raise BadRequest(f"Invalid input for field/attribute {what}.id. Value: {values['id']}. It is not {row_id}, which the path says.")


def extras(values: Values, known: Iterable[str]) -> dict[str, Any]:
    """The attributes of a body that no column holds."""
    columns = set(known)
    return {name: value for name, value in values.items() if name not in columns}


def described(values: Values) -> Values:
    """The values with an empty description where theirs is null."""
    return {**values, "description": values["description"] or ""} if "description" in values else values


def assign(row: Any, values: Values, columns: Iterable[str], known: Collection[str]) -> None:
    """Set the columns that `values` names, its options where it knows any, and its unknown attributes; what it does not name stays."""
    for name in columns:
        if name in values:
            setattr(row, name, values[name])
    if values.get("options") and "options" in known:
        merged = {**row.options, **values["options"]}
        row.options = {name: value for name, value in merged.items() if value is not None}
    more = extras(values, known)
    if more:
        row.extra = {**row.extra, **more}


def must_be_mutable(row: Any, what: str, values: Values | None = None) -> None:
    """Raise Forbidden for a resource with the option `immutable`, unless the change takes that option away."""
    loosened = values is not None and (values.get("options") or {}).get("immutable", True) in (False, None)
    if row.options.get("immutable") and not loosened:
        raise Forbidden(f"Cannot modify or delete {what} {row.id}: it has the option immutable.")


def filtered(statement: Select[Any], filters: Mapping[str, Any], columns: Mapping[str, InstrumentedAttribute[Any]]) -> Select[Any]:
    """`statement` where each filter holds: `name`, or `name__contains` and the like for text; a filter of another name is ignored."""
    for key, value in filters.items():
        name, _, match = key.partition("__")
        column = columns.get(name)
        if column is None or (match and match not in MATCHES):
            continue
        if not match:
            statement = statement.where(column.is_(None) if value is None else column == value)
            continue
        operator, pattern = MATCHES[match]
        escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        statement = statement.where(getattr(column, operator)(pattern.format(escaped), escape="\\"))
    return statement


def listed(model: type[R], actor: Actor, filters: Mapping[str, Any], columns: Mapping[str, InstrumentedAttribute[Any]]) -> Select[Any]:
    """The rows of `model` that the actor sees and the filters let through."""
    statement = filtered(select(model), filters, columns)
    domain = own_domain(actor)
    return statement if domain is None else statement.where(columns["domain_id"] == domain)
