"""Users and their passwords. Callers hash before they open the transaction."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select, text

from common.auth import Actor
from common.db import Database, Tx
from common.errors import BadRequest, TooManyRequests, Unauthorized
from identity.models import GroupMember, Project, User
from identity.service import access_rule, directory, password, security
from identity.service.federation import links
from identity.service.project import domain_for
from identity.service.rows import Values, assign, find, flush, listed, own_domain, same_id, store
from identity.service.standing import domain_named

COLUMNS = ("name", "enabled", "default_project_id")
KNOWN = (*COLUMNS, "id", "domain_id", "password", "original_password", "password_expires_at", "options", "links", "federated")
COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge, "eq": operator.eq, "neq": operator.ne,
}  # fmt: skip
FILTERS = {"name": User.name, "domain_id": User.domain_id, "enabled": User.enabled}
LOGIN = f"""
SELECT u.id AS user_id, u.name AS user_name, u.epoch AS user_epoch, u.options AS options, u.enabled AND d.enabled AS enabled,
       coalesce(u.password_expires_at <= common.now(), false) AS over,
       EXISTS (SELECT FROM identity.login_failure f WHERE f.user_id = u.id AND {security.LOCKS}) AS locked,
       (SELECT p.hash FROM identity.password p WHERE p.user_id = u.id ORDER BY p.id DESC LIMIT 1) AS hash
FROM identity."user" u JOIN identity.project d ON d.id = u.domain_id
WHERE
"""
BY_ID = text(LOGIN + "u.id = :id")
BY_DOMAIN_ID = text(LOGIN + "u.name = :name AND d.id = :domain_id")
BY_DOMAIN_NAME = text(LOGIN + "u.name = :name AND d.id = " + domain_named("domain_name"))


@dataclass(frozen=True, slots=True)
class Login:
    """What a password is compared with. `hash` None: the user has none. `enabled`: the user and the user's domain.

    over: the password's time; locked: too many were wrong.
    """

    user_id: str
    user_name: str
    user_epoch: int
    options: dict[str, Any]
    enabled: bool
    over: bool
    locked: bool
    hash: str | None

    @property
    def expired(self) -> bool:
        """Whether the password must be changed before it lets anybody in."""
        return security.is_expired(self.options, over=self.over)

    @property
    def locked_out(self) -> bool:
        """Whether nothing lets the user in."""
        return self.locked and security.counts(self.options)

    @property
    def welcome(self) -> bool:
        """Whether the right password would be heard."""
        return self.enabled and not self.locked_out and self.hash is not None


def find_login(db: Database, who: Values) -> Login | None:
    """The user that a log-in names by `{"id"}` or by `{"name", "domain": {"id"} or {"name"}}`; one query. Raises BadRequest."""
    domain, bound = who.get("domain") or {}, security.lockout()
    if "id" in who:
        row = db.first(BY_ID, {"id": who["id"], **bound})
    elif "name" in who and "id" in domain:
        row = db.first(BY_DOMAIN_ID, {"name": who["name"], "domain_id": domain["id"], **bound})
    elif "name" in who and "name" in domain:
        row = db.first(BY_DOMAIN_NAME, {"name": who["name"], "domain_name": domain["name"], **bound})
    else:
        raise BadRequest("Invalid input for field/attribute user: it needs an id, or a name and a domain.")
    return Login(**row) if row is not None else None


def verified(db: Database, address: str, who: Values, secret: str) -> Login:
    """The user that a log-in names, if `secret` is the password and the user is not locked. address: the client's.

    Raises Unauthorized, for all else alike, TooManyRequests, BadRequest. Two statements besides the hash where failures are counted.
    """
    login = find_login(db, who)
    source = (address, who.get("id") or who.get("name") or "")
    stored, welcome = (login.hash, login.user_id if login.welcome else None) if login is not None else (None, None)
    try:
        right = password.matches(source, secret, stored, welcome)
    except TooManyRequests as refusal:
        # The same statement for all, so that its time tells nothing.
        _failed(db, login if isinstance(refusal, password.Wrong) else None)
        raise
    return let_in(db, login, right=right)


def let_in(db: Database, login: Login | None, *, right: bool) -> Login:
    """The user, where what was given is right and the user is not locked; else it counts. Raises Unauthorized."""
    if login is None or not right or login.locked_out:
        _failed(db, login)
        raise Unauthorized
    return login


def _failed(db: Database, login: Login | None) -> None:
    security.failed(db, login.user_id if login is not None and security.counts(login.options) else None)


def create_user(tx: Tx, actor: Actor, values: Values, password_hash: str | None) -> User:
    """A new user; its domain is the actor's where the body names none. Raises NotFound (domain), Conflict (name)."""
    domain_id = domain_for(tx, actor, values.get("domain_id"))
    directory.must_be_ours(tx, domain_id)
    _check_default_project(tx, actor, values)
    user = User(domain_id=domain_id, extra={}, options={}, enabled=True, epoch=1)
    assign(user, values, COLUMNS, KNOWN)
    store(tx, user, "user", user.name)
    if password_hash is not None:
        security.put_password(tx, user, password_hash, own=False)
    flush(tx, "user", user.name)
    if values.get("federated"):
        links.replace(tx, user, values["federated"], own_domain(actor))
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


def list_users(actor: Actor, filters: Values, expiring: Iterable[str] = ()) -> Select[Any]:
    """The users that the actor sees. expiring: `operator:moment` of the end of their passwords, such as `lt:2026-01-31T00:00:00Z`. Raises BadRequest."""
    linked = {name: value for name, value in filters.items() if name in links.FILTERS}
    statement = listed(User, actor, filters, FILTERS).where(*map(_expiring, expiring))
    return statement.where(User.id.in_(links.users(linked))) if linked else statement


def _expiring(told: str) -> ColumnElement[bool]:
    compare, _, moment = ("eq:" + told if told[:1].isdigit() else told).partition(":")
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        raise BadRequest(
            f"Invalid query parameter password_expires_at: {moment!r} is not a moment of the form YYYY-MM-DDTHH:MM:SSZ."
        ) from None
    if compare not in COMPARE:
        raise BadRequest(f"Invalid query parameter password_expires_at: {compare!r} is none of {', '.join(COMPARE)}.")
    return COMPARE[compare](User.password_expires_at, found if found.tzinfo else found.replace(tzinfo=UTC))


def update_user(tx: Tx, actor: Actor, user_id: str, values: Values, password_hash: str | None) -> User:
    """Change a user; another password, or being disabled, ends the user's tokens."""
    user = find(tx, User, user_id, "user", actor, lock=True)
    same_id(values, user_id, "user")
    if "domain_id" in values and values["domain_id"] != user.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    directory.must_be_changeable(tx, user, values)
    _check_default_project(tx, actor, values)
    was_enabled = user.enabled
    assign(user, values, COLUMNS, KNOWN)
    if values.get("enabled"):
        security.revive(tx, user)
    if password_hash is not None:
        security.put_password(tx, user, password_hash, own=False)
    if password_hash is not None or (was_enabled and not user.enabled):
        user.epoch += 1
    flush(tx, "user", user.name)
    if "federated" in values:
        links.replace(tx, user, values["federated"], own_domain(actor))
    return user


def may_change_password(login: Login) -> None:
    """Raise Unauthorized for a disabled user, BadRequest for one whose password only an administrator changes."""
    if not login.enabled:
        raise Unauthorized
    if login.options.get("lock_password"):
        raise BadRequest(security.LOCKED_PASSWORD)


def change_password(tx: Tx, login: Login, password_hash: str) -> None:
    """The user's own change, after `login` was verified. Raises Unauthorized when it was changed by another meanwhile, BadRequest (age)."""
    user = tx.get(User, login.user_id, with_for_update=True, populate_existing=True)
    if user is None or user.epoch != login.user_epoch:
        raise Unauthorized
    security.must_be_old_enough(tx, user.id)
    security.put_password(tx, user, password_hash, own=True)
    user.epoch += 1


def delete_user(tx: Tx, actor: Actor, user_id: str) -> None:
    """Delete a user with passwords, memberships, grants and credentials."""
    user = find(tx, User, user_id, "user", actor, lock=True)
    directory.must_be_changeable(tx, user)
    access_rule.release(tx, User.id == user_id)
    tx.delete(user)
    flush(tx, "user", user.name)


def users_of(actor: Actor, group_id: str, filters: Values, expiring: Iterable[str] = ()) -> Select[Any]:
    """The members of a group; as `list_users`."""
    members = select(GroupMember.user_id).where(GroupMember.group_id == group_id)
    return list_users(actor, filters, expiring).where(User.id.in_(members))
