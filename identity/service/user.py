"""Users and their passwords. Callers hash before they open the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, text

from common.auth import Actor
from common.db import Database, Tx
from common.errors import BadRequest, Forbidden, Unauthorized
from identity.models import GroupMember, Password, Project, User
from identity.service import directory
from identity.service.project import domain_for
from identity.service.rows import Values, assign, find, flush, listed, own_domain, store
from identity.service.standing import query

COLUMNS = ("name", "enabled", "default_project_id")
KNOWN = (*COLUMNS, "id", "domain_id", "password", "original_password", "password_expires_at", "options", "links")
FILTERS = {"name": User.name, "domain_id": User.domain_id, "enabled": User.enabled}
LOGIN = """
SELECT u.id AS user_id, u.name AS user_name, u.epoch AS user_epoch, u.options AS options, u.enabled AND d.enabled AS enabled,
       (SELECT p.hash FROM identity.password p WHERE p.user_id = u.id ORDER BY p.id DESC LIMIT 1) AS hash
FROM identity."user" u JOIN identity.project d ON d.id = u.domain_id
WHERE
"""
BY_ID = text(LOGIN + "u.id = :id")
BY_DOMAIN_ID = text(LOGIN + "u.name = :name AND d.id = :domain_id")
BY_DOMAIN_NAME = text(LOGIN + "u.name = :name AND d.name = :domain_name AND d.is_domain")


@dataclass(frozen=True, slots=True)
class Login:
    """What a password is compared with. `hash` None: the user has none. `enabled`: the user and the user's domain."""

    user_id: str
    user_name: str
    user_epoch: int
    options: dict[str, Any]
    enabled: bool
    hash: str | None


def find_login(db: Database, who: Values) -> Login | None:
    """The user that a log-in names by `{"id"}` or by `{"name", "domain": {"id"} or {"name"}}`; one query. Raises BadRequest."""
    domain = who.get("domain") or {}
    if "id" in who:
        row = query(db, BY_ID, {"id": who["id"]})
    elif "name" in who and "id" in domain:
        row = query(db, BY_DOMAIN_ID, {"name": who["name"], "domain_id": domain["id"]})
    elif "name" in who and "name" in domain:
        row = query(db, BY_DOMAIN_NAME, {"name": who["name"], "domain_name": domain["name"]})
    else:
        raise BadRequest("Invalid input for field/attribute user: it needs an id, or a name and a domain.")
    return Login(**row) if row is not None else None


def create_user(tx: Tx, actor: Actor, values: Values, password_hash: str | None) -> User:
    """A new user; its domain is the actor's where the body names none. Raises NotFound (domain), Conflict (name)."""
    domain_id = domain_for(tx, actor, values.get("domain_id"))
    directory.must_be_ours(tx, domain_id)
    _check_default_project(tx, actor, values)
    user = User(domain_id=domain_id, extra={}, options={}, enabled=True, epoch=1)
    assign(user, values, COLUMNS, KNOWN)
    store(tx, user, "user", user.name)
    if password_hash is not None:
        tx.add(Password(user_id=user.id, hash=password_hash))
    flush(tx, "user", user.name)
    return user


def _check_default_project(tx: Tx, actor: Actor, values: Values) -> None:
    """It may be none at all, but no domain; another's domain is like none."""
    project_id = values.get("default_project_id")
    project = tx.get(Project, project_id) if project_id else None
    if project is not None and project.is_domain and own_domain(actor) in (None, project.id):
        raise BadRequest(f"default_project_id {project_id} is a domain; a user's default project cannot be one.")


def get_user(tx: Tx, actor: Actor, user_id: str) -> User:
    """The user; oneself is always visible. Raises NotFound, Forbidden."""
    return find(tx, User, user_id, "user", None if user_id == actor.user_id else actor)


def list_users(actor: Actor, filters: Values) -> Select[Any]:
    """The users that the actor sees."""
    return listed(User, actor, filters, FILTERS)


def update_user(tx: Tx, actor: Actor, user_id: str, values: Values, password_hash: str | None) -> User:
    """Change a user; another password, or being disabled, ends the user's tokens."""
    user = find(tx, User, user_id, "user", actor, lock=True)
    if "domain_id" in values and values["domain_id"] != user.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    directory.must_be_changeable(tx, user, values)
    _check_default_project(tx, actor, values)
    was_enabled = user.enabled
    assign(user, values, COLUMNS, KNOWN)
    if password_hash is not None:
        tx.add(Password(user_id=user.id, hash=password_hash))
    if password_hash is not None or (was_enabled and not user.enabled):
        user.epoch += 1
    flush(tx, "user", user.name)
    return user


def may_change_password(login: Login) -> None:
    """Raise Unauthorized for a disabled user, Forbidden for one whose password only an administrator changes."""
    if not login.enabled:
        raise Unauthorized
    if login.options.get("lock_password"):
        raise Forbidden(f"The password of user {login.user_id} is locked.")


def change_password(tx: Tx, login: Login, password_hash: str) -> None:
    """The user's own change, after `login` was verified. Raises Unauthorized when it was changed by another meanwhile."""
    user = tx.get(User, login.user_id, with_for_update=True, populate_existing=True)
    if user is None or user.epoch != login.user_epoch:
        raise Unauthorized
    tx.add(Password(user_id=user.id, hash=password_hash, self_service=True))
    user.epoch += 1


def delete_user(tx: Tx, actor: Actor, user_id: str) -> None:
    """Delete a user with passwords, memberships and grants."""
    user = find(tx, User, user_id, "user", actor, lock=True)
    directory.must_be_changeable(tx, user)
    tx.delete(user)
    flush(tx, "user", user.name)


def users_of(actor: Actor, group_id: str, filters: Values) -> Select[Any]:
    """The members of a group."""
    members = select(GroupMember.user_id).where(GroupMember.group_id == group_id)
    return list_users(actor, filters).where(User.id.in_(members))
