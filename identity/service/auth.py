"""Log-in: who is it, for what scope, and the token that says so. Hashing happens outside any transaction.

Whatever is wrong with the credentials or the scope, the answer is the same, after the same time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from common.db import Database, Tx, clock
from common.errors import BadRequest, Unauthorized
from identity.models import RevokedToken
from identity.service import password, standing
from identity.service.keys import EXPIRED_WINDOW, KeyRing
from identity.service.standing import Standing
from identity.service.token import Token, decode, encode, issue
from identity.service.user import find_login

UNSUPPORTED = "Attempted to authenticate with an unsupported method."


@dataclass(frozen=True, slots=True)
class Who:
    """Who the credentials say it is. `epoch` is the user's when they were checked; `parent` the token that was one of them."""

    user_id: str
    epoch: int
    methods: tuple[str, ...]
    parent: Token | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and what SQL says of it; `raw` is its form on the wire."""

    raw: str
    token: Token
    standing: Standing


@functools.lru_cache(maxsize=4)
def ring_of(db: Database) -> KeyRing:
    """The keys as this process knows them."""
    return KeyRing(db)


def log_in(db: Database, address: str, auth: Mapping[str, Any], ttl: int) -> Issued:
    """The token for the body's `auth` object, whose shape holds. address: the client's; ttl: seconds.

    Raises Unauthorized, TooManyRequests, BadRequest. Two queries.
    """
    who = identify(db, address, auth["identity"])
    found = _scope(db, who.user_id, auth.get("scope"))
    if found is None or not found.user_live or not found.scope_live or found.user_epoch != who.epoch:
        raise Unauthorized
    token = issue(who.user_id, found.scope, who.methods, found.epochs, ttl, who.parent)
    return Issued(encode(token, ring_of(db)), token, found)


def identify(db: Database, address: str, identity: Mapping[str, Any]) -> Who:
    """Check each of the methods that the body names; all must mean the same user."""
    methods = tuple(dict.fromkeys(identity["methods"]))
    if any(method not in METHODS for method in methods):
        raise Unauthorized(UNSUPPORTED)
    for method in methods:
        if method not in identity:
            raise BadRequest(f"Invalid input for field/attribute identity: it lacks {method}, which methods names.")
    found = [METHODS[method](db, address, identity[method]) for method in methods]
    if len({who.user_id for who in found}) != 1:
        raise Unauthorized
    return replace(found[0], methods=methods, parent=next((who.parent for who in found if who.parent), None))


def _by_password(db: Database, address: str, given: Mapping[str, Any]) -> Who:
    user = given["user"]
    login = find_login(db, user)
    source = (address, user.get("id") or user.get("name") or "")
    if not password.matches(source, user["password"], login.hash if login else None) or login is None:
        raise Unauthorized
    return Who(login.user_id, login.user_epoch, ("password",))


def _by_token(db: Database, address: str, given: Mapping[str, Any]) -> Who:
    token, _ = validate(db, given["id"])
    return Who(token.user_id, token.user_epoch, ("token",), token)


METHODS: dict[str, Callable[[Database, str, Mapping[str, Any]], Who]] = {"password": _by_password, "token": _by_token}


def _scope(db: Database, user_id: str, scope: Any) -> Standing | None:
    """The standing on the scope that the body asks for; with none, on the user's default project if that is possible."""
    if scope is None:
        found = standing.ask(db, "project", "default", {"user_id": user_id})
        if found is None or (found.default_project_id and found.scope_live):
            return found
        return replace(found, kind="none", roles=(), target_id=None, target_epoch=None)
    kind, target, values = scope_query(scope)
    return standing.ask(db, kind, target, {"user_id": user_id, **values})


def scope_query(scope: Any) -> tuple[str, str, dict[str, Any]]:
    """(kind, how its row is found, the values for that), for `standing.ask`. Raises BadRequest."""
    if scope == "unscoped" or "unscoped" in scope:
        return "none", "none", {}
    if len(scope) != 1:
        raise BadRequest("Invalid input for field/attribute scope: it must name exactly one of project, domain, system, unscoped.")
    kind, given = next(iter(scope.items()))
    if kind == "system":
        if given.get("all") is not True:
            raise BadRequest('Invalid input for field/attribute scope.system: only {"all": true} is known.')
        return "system", "none", {}
    if "id" in given:
        return kind, "id", {"target_id": given["id"]}
    if "name" not in given:
        raise BadRequest(f"Invalid input for field/attribute scope.{kind}: it needs an id or a name.")
    return ("domain", "domain_name", {"target_name": given["name"]}) if kind == "domain" else _named_project(given)


def _named_project(given: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    domain = given.get("domain") or {}
    for part in ("id", "name"):
        if part in domain:
            return "project", f"name+domain_{part}", {"target_name": given["name"], f"target_domain_{part}": domain[part]}
    raise BadRequest("Invalid input for field/attribute scope.project: a name needs a domain, by id or name.")


def validate(db: Database, raw: str, *, allow_expired: bool = False) -> tuple[Token, Standing]:
    """The token and its standing now. Raises Unauthorized. One query."""
    token = decode(raw, ring_of(db), allow_expired=allow_expired)
    return token, standing.of_token(db, token)


def revoke(tx: Tx, token: Token) -> None:
    """End a token before its time; harmless when repeated. Rows that no longer matter go on the way."""
    tx.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock()))
    until = token.expires_at + EXPIRED_WINDOW + timedelta(seconds=1)
    tx.execute(insert(RevokedToken).values(audit_id=token.audit_ids[0], expires_at=until).on_conflict_do_nothing())
