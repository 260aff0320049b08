"""Log-in: who is it, for what scope, and the token that says so. Hashing happens outside any transaction.

Whatever is wrong with the credentials or the scope, the answer is the same, after the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from common.db import Database, Tx, clock
from common.errors import BadRequest, Forbidden, Unauthorized
from identity.models import RevokedToken
from identity.service import receipt, security, standing, trust
from identity.service.attempt import Attempt, Who
from identity.service.credential import EC2_METHOD
from identity.service.keys import EXPIRED_WINDOW, ring_of
from identity.service.methods import METHODS
from identity.service.standing import Standing
from identity.service.token import Delegation, Token, audit_ids, encode, lifetime

UNSUPPORTED = "Attempted to authenticate with an unsupported method."
TRUST = "OS-TRUST:trust"


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and what SQL says of it; `raw` is its form on the wire."""

    raw: str
    token: Token
    standing: Standing


def log_in(attempt: Attempt, ttl: int) -> Issued:
    """The token for what the attempt came with. ttl: seconds.

    Raises Unauthorized (Insufficient with a receipt), Forbidden, TooManyRequests, BadRequest. Two queries by password.
    """
    who = with_receipt(attempt, identify(attempt))
    return issue_for(attempt.db, who, attempt.auth.get("scope"), ttl)


def identify(attempt: Attempt) -> Who:
    """Check each of the methods that the body names; all must mean the same user."""
    identity = attempt.auth["identity"]
    methods = tuple(dict.fromkeys(identity["methods"]))
    if any(method not in METHODS for method in methods):
        raise Unauthorized(UNSUPPORTED)
    for method in methods:
        if method not in identity:
            raise BadRequest(f"Invalid input for field/attribute identity: it lacks {method}, which methods names.")
    found = [METHODS[method](attempt, identity[method]) for method in methods]
    if len({who.user_id for who in found}) != 1:
        raise Unauthorized
    return _together(found, methods)


def with_receipt(attempt: Attempt, who: Who) -> Who:
    """With the methods of the receipt that came along, if one did: it must be the same user's. Raises Unauthorized."""
    raw = attempt.header(receipt.HEADER)
    if not raw:
        return who
    known = receipt.read(attempt.db, raw)
    if (known.user_id, known.user_epoch) != (who.user_id, who.epoch):
        raise Unauthorized(receipt.INVALID)
    return replace(who, methods=tuple(dict.fromkeys((*known.methods, *who.methods))))


def _together(found: list[Who], methods: tuple[str, ...]) -> Who:
    """One answer of all methods: what any of them bounds, bounds the whole."""
    delegations = {who.delegation for who in found if who.delegation is not None}
    if len(delegations) > 1:
        raise Unauthorized
    ends = [who.expires_at for who in found if who.expires_at is not None]
    return replace(
        found[0], methods=methods, parent=next((who.parent for who in found if who.parent), None),
        delegation=next(iter(delegations), None), expires_at=min(ends, default=None),
        federation=next((who.federation for who in found if who.federation), None),
    )  # fmt: skip


def issue_for(db: Database, who: Who, scope: Any, ttl: int) -> Issued:
    """The token of somebody who was identified, for the scope that the body asks for. ttl: seconds. Raises Unauthorized, Forbidden."""
    found, delegation = _scope(db, who, scope)
    if found is None or not found.user_live or found.login_epoch != who.epoch:
        raise Unauthorized
    methods = tuple(sorted({*who.methods, *who.parent.methods})) if who.parent else who.methods
    _must_be_enough(db, who, found, methods)
    if not found.scope_live:
        raise Unauthorized
    if delegation is not None:
        _take_up(db, who, found, delegation)
    security.seen(db, who.user_id)
    issued_at, expires_at = lifetime(ttl, who.expires_at, who.parent.expires_at if who.parent else None, _end(found))
    token = Token(
        found.user_id, found.scope, methods, audit_ids(who.parent), issued_at, expires_at, *found.epochs,
        delegation=delegation, federation=who.federation if found.user_id == who.user_id else None,
    )  # fmt: skip
    return Issued(encode(token, ring_of(db)), token, found)


def _must_be_enough(db: Database, who: Who, found: Standing, methods: tuple[str, ...]) -> None:
    """The rules of who logs in must be satisfied, before anything is said of the scope. Raises Insufficient. A signed request is beyond them."""
    mine: Standing | None = found
    if found.user_id != who.user_id:  # with a trust: the token will be its giver's
        mine = standing.ask(db, "none", "none", {"user_id": who.user_id})
    if mine is None:
        raise Unauthorized
    if EC2_METHOD not in methods and not receipt.enough(mine.user_options, methods, METHODS):
        domain = {"id": mine.user_domain_id, "name": mine.user_domain_name}
        user = {"id": mine.user_id, "name": mine.user_name, "domain": domain}
        raise receipt.issue(db, user, who.epoch, mine.user_options, methods, METHODS)


def _take_up(db: Database, who: Who, found: Standing, delegation: Delegation) -> None:
    """A token is about to stand on the delegation: it must hold, be this user's, and have a use left."""
    facts = found.delegation or {}
    if not facts.get("live"):
        raise Unauthorized
    ring_of(db).signer()  # without one there is no token, and a use of a trust must not be taken for nothing
    if delegation.kind != "trust":
        if found.user_id != who.user_id:
            raise Unauthorized
        return
    if facts["trustee_user_id"] != who.user_id:
        raise Forbidden("The trust is for another user.")
    if facts["remaining_uses"] is not None and not db.run(lambda tx: trust.use(tx, delegation.id)):
        raise Forbidden(f"No uses are left of trust {delegation.id}.")


def _end(found: Standing) -> datetime | None:
    """When what the token stands on ends."""
    until = (found.delegation or {}).get("until")
    return datetime.fromtimestamp(until, UTC) if until is not None else None


def _scope(db: Database, who: Who, scope: Any) -> tuple[Standing | None, Delegation | None]:
    """The standing on the scope that the body asks for, and what it stands on.

    Without a scope: on the user's default project if that is possible.
    """
    if who.delegation is not None:
        if scope is not None:
            raise Unauthorized(f"What stands on {who.delegation.kind} cannot request a scope.")
        return standing.delegated(db, who.delegation), who.delegation
    if isinstance(scope, Mapping):
        _must_be_one(scope)
    if isinstance(scope, Mapping) and TRUST in scope:
        delegation = Delegation("trust", scope[TRUST]["id"])
        found = standing.delegated(db, delegation)
        if found is None:
            raise Forbidden(f"Could not find trust: {delegation.id}.")
        return found, delegation
    return _own_scope(db, who, scope), None


def _own_scope(db: Database, who: Who, scope: Any) -> Standing | None:
    if scope is not None:
        kind, target, values = scope_query(scope)
        return standing.ask(db, kind, target, {"user_id": who.user_id, **values})
    unscoped = None
    if who.federation is None:
        found = standing.ask(db, "project", "default", {"user_id": who.user_id})
        if found is None or (found.default_project_id and found.scope_live):
            return found
        unscoped = replace(found, kind="none", roles=(), target_id=None, target_epoch=None)
    return unscoped or standing.ask(db, "none", "none", {"user_id": who.user_id})


def _must_be_one(scope: Mapping[str, Any]) -> None:
    if len(scope) != 1:
        raise BadRequest(
            "Invalid input for field/attribute scope: it must name exactly one of project, domain, system, unscoped, OS-TRUST:trust."
        )


def scope_query(scope: Any) -> tuple[str, str, dict[str, Any]]:
    """(kind, how its row is found, the values for that), for `standing.ask`. Raises BadRequest."""
    if scope == "unscoped" or "unscoped" in scope:
        return "none", "none", {}
    kind, given = next(iter(scope.items()))
    if kind == "system":
        if given.get("all", True) is not True:
            raise BadRequest('Invalid input for field/attribute scope.system: only {"all": true} is known, which {} means too.')
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


def revoke(tx: Tx, token: Token) -> None:
    """End a token before its time; harmless when repeated. Rows that no longer matter go on the way."""
    tx.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock()))
    until = token.expires_at + EXPIRED_WINDOW + timedelta(seconds=1)
    tx.execute(insert(RevokedToken).values(audit_id=token.audit_ids[0], expires_at=until).on_conflict_do_nothing())
