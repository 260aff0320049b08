"""Roles given to users and groups on projects, domains and the system: give, look, take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx
from common.errors import Forbidden, NotFound
from identity.models import Assignment, Group, Project, Role, User
from identity.service.project import domain_of
from identity.service.role import MANAGED
from identity.service.rows import DENIED, find, missing, own_domain, put


@dataclass(frozen=True, slots=True)
class Place:
    """Who has something where. Exactly one of user and group; `target` is project, domain or system, which has no id.

    inherited: on the projects below, and not on the target.
    """

    target: str
    target_id: str | None
    user_id: str | None = None
    group_id: str | None = None
    inherited: bool = False

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """The rows of this place."""
        return (
            Assignment.user_id.is_(None) if self.user_id is None else Assignment.user_id == self.user_id,
            Assignment.group_id.is_(None) if self.group_id is None else Assignment.group_id == self.group_id,
            Assignment.target == self.target,
            Assignment.target_id.is_(None) if self.target_id is None else Assignment.target_id == self.target_id,
            Assignment.inherited.is_(self.inherited),
        )


def give(tx: Tx, actor: Actor, place: Place, role_id: str) -> None:
    """Grant a role; harmless when repeated.

    Raises NotFound for what is not there, Forbidden for another domain's own role on a project, or one that is not a domain manager's to give.
    """
    _look(tx, actor, place)
    role = _role(tx, actor, role_id, MANAGED)
    target = tx.get(Project, place.target_id) if place.target_id is not None else None
    if place.target != "domain" and role.domain_id not in (None, domain_of(target)):
        raise Forbidden(f"Role {role_id} belongs to another domain than what it would be granted on.")
    values = {"user_id": place.user_id, "group_id": place.group_id, "target": place.target, "target_id": place.target_id}
    put(tx, insert(Assignment).values(role_id=role_id, inherited=place.inherited, **values), "role assignment", role_id)


def check(tx: Tx, actor: Actor, place: Place, role_id: str) -> None:
    """Raise NotFound unless the role is granted there."""
    _look(tx, actor, place)
    _role(tx, actor, role_id)
    if tx.scalar(select(Assignment.id).where(*place.where(), Assignment.role_id == role_id)) is None:
        raise _not_granted(place, role_id)


def take(tx: Tx, actor: Actor, place: Place, role_id: str) -> None:
    """Take a role back. Raises NotFound where it was not granted, Forbidden as `give`."""
    _look(tx, actor, place)
    _role(tx, actor, role_id, MANAGED)
    gone = tx.scalar(delete(Assignment).where(*place.where(), Assignment.role_id == role_id).returning(Assignment.id))
    if gone is None:
        raise _not_granted(place, role_id)


def list_given(tx: Tx, actor: Actor, place: Place) -> Select[Any]:
    """The roles that are granted there, implied ones not counted; other domains' own ones only for who sees all domains."""
    _look(tx, actor, place)
    own, found = own_domain(actor), select(Role).where(Role.id.in_(select(Assignment.role_id).where(*place.where())))
    return found if own is None else found.where(or_(Role.domain_id.is_(None), Role.domain_id == own))


def _not_granted(place: Place, role_id: str) -> NotFound:
    bearer = f"user {place.user_id}" if place.user_id else f"group {place.group_id}"
    return NotFound(f"Could not find role assignment with role: {role_id}, {bearer}, {place.target}: {place.target_id or 'all'}.")


def _role(tx: Tx, actor: Actor, role_id: str, names: frozenset[str] | None = None) -> Role:
    """The role. For whoever sees one domain only, Forbidden for an unknown one and another domain's; with `names`, for all but the cloud's of these names."""
    role = tx.get(Role, role_id)
    domain = own_domain(actor)
    if domain is not None:
        if role is None or role.domain_id not in ((None,) if names is not None else (None, domain)):
            raise Forbidden(DENIED)
        if names is not None and role.name not in names:
            raise Forbidden(DENIED)
    if role is None:
        raise missing("role", role_id)
    return role


def _look(tx: Tx, actor: Actor, place: Place) -> None:
    """Bearer and target are there, and within the actor's sight; else NotFound, or Forbidden."""
    if place.user_id is not None:
        find(tx, User, place.user_id, "user", actor)
    if place.group_id is not None:
        find(tx, Group, place.group_id, "group", actor)
    row = tx.get(Project, place.target_id) if place.target_id is not None else None
    if own_domain(actor) not in (None, domain_of(row)):
        raise Forbidden(DENIED)
    if place.target != "system" and (row is None or row.is_domain != (place.target == "domain")):
        raise missing(place.target, place.target_id)
