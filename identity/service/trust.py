"""Trusts: what a user lets another do in his place, on one project, with some of his roles; and what that one may hand on.

A trust is never changed. Past its end it is as if it were not there; with its last use gone it gives no more tokens, and what was given out holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, update

from common.auth import Actor
from common.db import Database, Tx, clock
from common.errors import BadRequest, Forbidden
from identity.models import Project, Role, Trust, TrustRole, User
from identity.service import standing
from identity.service.application_credential import parse_expiry
from identity.service.credential import is_delegated
from identity.service.rows import Values, extras, filtered, find, flush, missing, store

KIND = "trust"
# How often on a trust can be handed at most: Keystone's max_redelegation_count.
DEEPEST = 3
FILTERS = {"trustor_user_id": Trust.trustor_user_id, "trustee_user_id": Trust.trustee_user_id}
COLUMNS = ("trustor_user_id", "trustee_user_id", "project_id", "impersonation", "remaining_uses")
KNOWN = (
    *COLUMNS, "id", "links", "roles", "roles_links", "expires_at", "deleted_at", "allow_redelegation", "redelegation_count", "redelegated_trust_id",
)  # fmt: skip


def use(tx: Tx, trust_id: str) -> bool:
    """Take one use of a trust for a token that is about to be issued; False where none is left, or the trust is gone or over."""
    taken = (
        update(Trust)
        .where(Trust.id == trust_id, or_(Trust.remaining_uses.is_(None), Trust.remaining_uses > 0), _running())
        .values(remaining_uses=Trust.remaining_uses - 1)
        .returning(Trust.id)
    )
    return tx.execute(taken).scalar() is not None


def _running() -> ColumnElement[bool]:
    return or_(Trust.expires_at.is_(None), Trust.expires_at > clock())


def _usable() -> ColumnElement[bool]:
    return and_(_running(), or_(Trust.remaining_uses.is_(None), Trust.remaining_uses > 0))


def on_project(db: Database, actor: Actor, project_id: str | None) -> Actor:
    """The actor with his roles on a project that his token is not for: a token that stands on nothing could be exchanged for one that is.

    As he is where he has none there, and with a token that stands on something.
    """
    if project_id in (None, "", actor.project_id) or is_delegated(actor):
        return actor
    found = standing.ask(db, "project", "id", {"user_id": actor.user_id, "target_id": project_id})
    if found is None or not found.scope_live:
        return actor
    return replace(actor, project_id=project_id, roles=frozenset(name for _, name in found.roles), role_ids=found.roles)


def create_trust(tx: Tx, actor: Actor, values: Values) -> tuple[Trust, list[Role]]:
    """A new trust of the actor, with its roles. Raises BadRequest, Forbidden, NotFound (trustee, project, a role that the token has not)."""
    parent = _redelegated(tx, actor)
    if actor.user_id != values["trustor_user_id"]:
        raise Forbidden("The authenticated user should match the trustor.")
    find(tx, User, values["trustee_user_id"], "user")
    _check_project(tx, actor, values)
    roles = _roles(tx, actor, values)
    row = Trust(
        **{name: values.get(name) for name in COLUMNS}, extra=extras(values, KNOWN), expires_at=parse_expiry(values.get("expires_at")),
        redelegation_count=_count(values, parent), redelegated_trust_id=parent.id if parent is not None else None,
    )  # fmt: skip
    if parent is not None:
        _hand_on(tx, parent, row, roles)
    tx.execute(delete(Trust).where(Trust.trustor_user_id == actor.user_id, ~_running()))
    store(tx, row, "trust", None)
    tx.add_all(TrustRole(trust_id=row.id, role_id=role.id) for role in roles)
    flush(tx, "trust", row.id)
    return row, roles


def _redelegated(tx: Tx, actor: Actor) -> Trust | None:
    """The trust that the token stands on. Raises Forbidden for whatever else a token may stand on that cannot make a trust."""
    if not is_delegated(actor):
        return None
    stands = actor.delegation
    if stands is not None and stands.kind == KIND:
        return get_trust(tx, stands.id, spent=True)
    if stands is None or stands.kind != "application_credential" or stands.restricted or stands.access_rules is not None:
        raise Forbidden("Redelegation allowed for delegated by trust only.")
    return None


def _check_project(tx: Tx, actor: Actor, values: Values) -> None:
    project_id = values.get("project_id")
    if project_id and not values.get("roles"):
        raise Forbidden("At least one role should be specified.")
    if project_id and project_id != actor.project_id:
        find(tx, Project, project_id, "project", actor)
        raise Forbidden(f"A trust for project {project_id} needs a token that is scoped to it.")


def _roles(tx: Tx, actor: Actor, values: Values) -> list[Role]:
    """The roles that the body names, each once. Raises NotFound for one that is not there, or that the token has not on this project."""
    wanted = values.get("roles") or ()
    found, by_id = named_roles(tx, wanted), {role.get("id") for role in wanted}
    held = {role_id for role_id, _ in actor.role_ids} if values.get("project_id") else set()
    for role in found:
        if role.id not in held:
            raise missing("role", role.id if role.id in by_id else role.name)
    return found


def named_roles(tx: Tx, wanted: Sequence[Values]) -> list[Role]:
    """The roles that `[{id} or {name}, …]` names, each once, by name; a name is a role of the cloud's. Raises NotFound. One query."""
    ids = [role["id"] for role in wanted if "id" in role]
    names = [role["name"] for role in wanted if "id" not in role]
    if not wanted:
        return []
    named = and_(Role.name.in_(names), Role.domain_id.is_(None))
    rows = list(tx.scalars(select(Role).where(or_(Role.id.in_(ids), named)).order_by(Role.name, Role.id)))
    unknown = (set(ids) - {row.id for row in rows}) | (set(names) - {row.name for row in rows if row.domain_id is None})
    if unknown:
        raise missing("role", min(unknown))
    return rows


def _count(values: Values, parent: Trust | None) -> int:
    """How often on the new trust can be handed. Raises BadRequest, Forbidden."""
    asked = values.get("redelegation_count")
    if not values.get("allow_redelegation") or asked == 0:
        return 0
    if asked and asked > DEEPEST:
        raise Forbidden(f"Requested redelegation depth of {asked} is greater than allowed {DEEPEST}.")
    if values.get("remaining_uses") is not None:
        raise BadRequest("Invalid input for field/attribute remaining_uses. It must not be set if redelegation is allowed.")
    if parent is None:
        return asked or DEEPEST
    if asked and asked != parent.redelegation_count - 1:
        raise Forbidden('Modifying "redelegation_count" upon redelegation is forbidden. Omitting this parameter is advised.')
    return max(parent.redelegation_count - 1, 0)


def _hand_on(tx: Tx, parent: Trust, row: Trust, roles: Iterable[Role]) -> None:
    """Raise Forbidden where the new trust reaches further than the one that it comes from; it ends with that one at the latest."""
    if parent.redelegation_count <= 0:
        raise Forbidden(f"Remaining redelegation depth of 0 out of allowed range of [1..{DEEPEST}]: trust {parent.id} cannot be handed on.")
    if row.remaining_uses is not None:
        raise Forbidden(f'Field "remaining_uses" is set to {row.remaining_uses} while it must not be set in order to redelegate a trust.')
    if row.project_id != parent.project_id:
        raise Forbidden(f"The project of trust {parent.id} is another.")
    if row.impersonation and not parent.impersonation:
        raise Forbidden(
            f"Impersonation is not allowed because redelegated trust does not specify impersonation. Redelegated trust id: {parent.id}."
        )
    if parent.expires_at is not None:
        row.expires_at = _sooner(row.expires_at, parent.expires_at)
    given = set(tx.scalars(select(TrustRole.role_id).where(TrustRole.trust_id == parent.id)))
    if not {role.id for role in roles} <= given:
        raise Forbidden("Some of requested roles are not in redelegated trust.")


def _sooner(asked: datetime | None, end: datetime) -> datetime:
    if asked is not None and asked > end:
        raise Forbidden("Requested expiration time is more than redelegated trust can provide.")
    return asked or end


def list_trusts(filters: Values) -> Select[Any]:
    """The trusts that can be used, of the trustor and the trustee that the filters name."""
    return filtered(select(Trust).where(_usable()), filters, FILTERS)


def get_trust(tx: Tx, trust_id: str, *, spent: bool = False, lock: bool = False) -> Trust:
    """The trust; `spent`: also one without a use left. Raises NotFound."""
    statement = select(Trust).where(Trust.id == trust_id, _running() if spent else _usable())
    row = tx.scalar(statement.with_for_update() if lock else statement)
    if row is None:
        raise missing("trust", trust_id)
    return row


def delete_trust(tx: Tx, actor: Actor, trust_id: str) -> None:
    """Delete a trust; what was redelegated from it goes with it, and all their tokens end. Raises Forbidden.

    A token that stands on a trust ends that one alone; one that stands on anything else that is restricted ends none.
    """
    row = get_trust(tx, trust_id, spent=True, lock=True)
    stands = actor.delegation
    if is_delegated(actor) and (stands is None or (stands.restricted and (stands.kind, stands.id) != (KIND, row.id))):
        raise Forbidden("A token that stands on a delegation cannot remove this trust.")
    tx.delete(row)
    tx.flush()
