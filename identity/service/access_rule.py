"""Access rules: what an application credential may ask for. A user's credentials share them; one in use stays.

What they let through is decided by `common.api.access`, in every service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import BadRequest, Conflict, Forbidden, NotFound
from identity.models import AccessRule, ApplicationCredential, ApplicationCredentialAccessRule, User, new_id
from identity.service.rows import Values, filtered

PARTS = ("service", "path", "method")
FILTERS = {"service": AccessRule.service, "path": AccessRule.path, "method": AccessRule.method}


def list_rules(user_id: str, filters: Values) -> Select[Any]:
    """The user's rules."""
    return filtered(select(AccessRule).where(AccessRule.user_id == user_id), filters, FILTERS)


def get_rule(tx: Tx, user_id: str, rule_id: str, *, lock: bool = False) -> AccessRule:
    """The user's rule. Raises NotFound."""
    row = tx.get(AccessRule, rule_id, with_for_update=lock or None)
    if row is None or row.user_id != user_id:
        raise NotFound(f"Could not find access rule: {rule_id}.")
    return row


def delete_rule(tx: Tx, user_id: str, rule_id: str) -> None:
    """Delete a rule. Raises NotFound, Forbidden (in use)."""
    row = get_rule(tx, user_id, rule_id, lock=True)
    using = select(ApplicationCredentialAccessRule).where(ApplicationCredentialAccessRule.access_rule_id == rule_id)
    if tx.scalar(using.limit(1)) is not None:
        raise Forbidden(f"Could not delete access rule {rule_id}: it is in use by an application credential.")
    tx.delete(row)
    tx.flush()


def release(tx: Tx, whose: ColumnElement[bool]) -> None:
    """Delete the application credentials of the users that `whose` selects, before the users go.

    In which order the database deletes what goes with a user is not said, and a rule in use would keep its user.
    """
    tx.execute(delete(ApplicationCredential).where(ApplicationCredential.user_id.in_(select(User.id).where(whose))))


def wanted_rules(tx: Tx, user_id: str, wanted: Sequence[Values]) -> list[AccessRule]:
    """The rules that a body names by id, or by service, path and method, in its order; those that there are not yet are made.

    Raises BadRequest (a part is missing, or is not that of the id), NotFound (id). Three statements, whatever the number of rules.
    """
    by_id = {rule["id"]: rule for rule in wanted if rule.get("id")}
    spelled = {_parts(rule) for rule in wanted if not rule.get("id")}
    if spelled:
        # In one order, so that two requests at once wait for each other instead of for ever.
        rows = [{"id": new_id(), "user_id": user_id, **dict(zip(PARTS, parts, strict=True))} for parts in sorted(spelled)]
        tx.execute(insert(AccessRule).values(rows).on_conflict_do_nothing())
    mine = select(AccessRule).where(AccessRule.user_id == user_id)
    known = tuple_(AccessRule.service, AccessRule.path, AccessRule.method).in_(sorted(spelled)) | AccessRule.id.in_(list(by_id))
    # Held, so that none is deleted before the credential has it.
    found = list(tx.scalars(mine.where(known).order_by(AccessRule.id).with_for_update(read=True)))
    _must_be_meant(by_id, {row.id: row for row in found})
    if not spelled <= {(row.service, row.path, row.method) for row in found}:
        raise Conflict("Another request deleted an access rule meanwhile. Try again.")
    return _in_order(found, wanted)


def _in_order(found: Sequence[AccessRule], wanted: Sequence[Values]) -> list[AccessRule]:
    places: dict[object, int] = {}
    for place, rule in enumerate(wanted):
        places.setdefault(rule.get("id") or _parts(rule), place)
    return sorted(found, key=lambda row: min(places.get(name, len(wanted)) for name in (row.id, (row.service, row.path, row.method))))


def _parts(rule: Values) -> tuple[str, ...]:
    for name in PARTS:
        if not rule.get(name):
            raise BadRequest(
                f"Invalid input for field/attribute access_rules: a rule needs an id, or service, path and method; {name} is missing."
            )
    return tuple(rule[name] for name in PARTS)


def _must_be_meant(by_id: dict[str, Values], found: dict[str, AccessRule]) -> None:
    """A rule that is named by its id exists, and is the one that else is said of it."""
    for rule_id, rule in by_id.items():
        if rule_id not in found:
            raise NotFound(f"Could not find access rule: {rule_id}.")
        for name in PARTS:
            if rule.get(name, getattr(found[rule_id], name)) != getattr(found[rule_id], name):
                raise BadRequest(f"Invalid input for field/attribute access_rules: {name} of the rule {rule_id} is another.")
