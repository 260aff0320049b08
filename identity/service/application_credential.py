"""Application credentials: what a user lets a program do in his name, on one project, with some of his roles there.

A secret that we make is 512 random bits and has a fast hash, whose form says so; one that somebody chose has the slow one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, TextClause, select, text

from common.auth import Actor
from common.db import Database, Tx
from common.errors import BadRequest, Forbidden, NotFound
from identity.models import (
    ApplicationCredential,
    ApplicationCredentialAccessRule,
    ApplicationCredentialRole,
    ApplicationCredentialSecret,
)
from identity.service import password
from identity.service.access_rule import wanted_rules
from identity.service.credential import is_delegated
from identity.service.pool import Source
from identity.service.rows import Values, filtered, flush, store
from identity.service.standing import domain_named

KIND = "application_credential"
FAST = "$sha256$"
FILTERS = {"name": ApplicationCredential.name}
LOGIN = """
SELECT c.id, c.user_id, u.epoch, s.hash
FROM identity.application_credential c JOIN identity.application_credential_secret s ON s.application_credential_id = c.id
JOIN identity."user" u ON u.id = c.user_id JOIN identity.project d ON d.id = u.domain_id
WHERE
"""
BY_ID = text(LOGIN + "c.id = :id")
BY_USER = text(LOGIN + "c.name = :name AND u.id = :user_id")
BY_DOMAIN_ID = text(LOGIN + "c.name = :name AND u.name = :user_name AND d.id = :domain_id")
BY_DOMAIN_NAME = text(LOGIN + "c.name = :name AND u.name = :user_name AND d.id = " + domain_named("domain_name"))


@dataclass(frozen=True, slots=True)
class Login:
    """What a secret is compared with."""

    id: str
    user_id: str
    epoch: int
    hash: str


def new_secret() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(64)


def fast_hash(secret: str) -> str:
    """The hash of a secret of ours."""
    return FAST + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def matches(source: Source, secret: str, stored: str | None) -> bool:
    """Whether it is the secret. Raises TooManyRequests.

    Every no takes one slow hash, whether it is for an unknown credential, a chosen secret or one of ours, so that none of the three can be
    told from the others; a yes to a secret of ours takes none.
    """
    if stored is None or not stored.startswith(FAST):
        return password.matches(source, secret, stored)
    return hmac.compare_digest(fast_hash(secret), stored) or password.matches(source, secret, None)


def find_login(db: Database, given: Values) -> Login | None:
    """What the body of a log-in names: by id, or by name and user. Raises BadRequest. One query."""
    statement, values = _named(given)
    row = db.first(statement, values)
    return Login(**row) if row is not None else None


def _named(given: Values) -> tuple[TextClause, Values]:
    """How the credential is found, and the values for that."""
    user = given.get("user") or {}
    domain = user.get("domain") or {}
    if "id" in given:
        return BY_ID, {"id": given["id"]}
    if "name" in given and "id" in user:
        return BY_USER, {"name": given["name"], "user_id": user["id"]}
    for part, statement in (("id", BY_DOMAIN_ID), ("name", BY_DOMAIN_NAME)):
        if "name" in given and "name" in user and part in domain:
            return statement, {"name": given["name"], "user_name": user["name"], f"domain_{part}": domain[part]}
    raise BadRequest("Invalid input for field/attribute application_credential: it needs an id, or a name and a user by id or name.")


def must_not_stand_on_another(actor: Actor) -> None:
    """Raise Forbidden for a token of a trust, of OAuth, of a signed request: their bearers are not the user."""
    if is_delegated(actor) and (actor.delegation is None or actor.delegation.kind != KIND):
        raise Forbidden("A token that stands on a delegation cannot see or manage application credentials.")


def must_be_unrestricted(actor: Actor) -> None:
    """Raise Forbidden for a token that may make and remove no credentials."""
    must_not_stand_on_another(actor)
    if actor.delegation is not None and actor.delegation.restricted:
        raise Forbidden("Using method 'application_credential' is not allowed for managing additional application credentials.")


def must_be_oneself(actor: Actor, user_id: str) -> None:
    """Raise Forbidden for whoever is not the user: what a program may do in his name, nobody else says."""
    if actor.user_id != user_id:
        raise Forbidden("Cannot create an application credential for another user.")


def create_credential(tx: Tx, actor: Actor, values: Values, secret_hash: str) -> ApplicationCredential:
    """A new credential of the actor, on the project of his token. Raises BadRequest, Conflict (name), NotFound (access rule), Forbidden."""
    if actor.project_id is None:
        raise BadRequest("An application credential is for a project: create it with a token that is scoped to one.")
    roles = _roles(actor, values.get("roles") or ())
    rules = values.get("access_rules") or ()
    row = ApplicationCredential(
        name=values["name"], description=values.get("description"), user_id=actor.user_id, project_id=actor.project_id,
        expires_at=parse_expiry(values.get("expires_at")), restricted=not values.get("unrestricted", False),
    )  # fmt: skip
    store(tx, row, "application credential", row.name)
    tx.add(ApplicationCredentialSecret(application_credential_id=row.id, hash=secret_hash))
    flush(tx, "application credential", row.name)
    _give(tx, row, roles, rules, actor)
    tx.refresh(row)
    return row


def _give(tx: Tx, row: ApplicationCredential, roles: Iterable[str], rules: Sequence[Values], actor: Actor) -> None:
    tx.add_all(ApplicationCredentialRole(application_credential_id=row.id, role_id=role_id) for role_id in roles)
    flush(tx, "application credential", row.name)
    found = wanted_rules(tx, row.user_id, rules) if rules else []
    own = actor.delegation.access_rules if actor.delegation is not None else None
    if own is not None and (not found or not {(rule.service, rule.method, rule.path) for rule in found} <= set(own)):
        raise Forbidden("An application credential with access rules can create only credentials with some of the same rules.")
    tx.add_all(
        ApplicationCredentialAccessRule(application_credential_id=row.id, access_rule_id=rule.id, position=position)
        for position, rule in enumerate(found)
    )
    tx.flush()


def _roles(actor: Actor, wanted: Sequence[Values]) -> list[str]:
    """The ids of the roles that the body names, all of the token's by default. Raises BadRequest for one that the token has not."""
    if not wanted:
        return [role_id for role_id, _ in actor.role_ids]
    held = {("id", role_id): role_id for role_id, _ in actor.role_ids} | {("name", name): role_id for role_id, name in actor.role_ids}
    found: dict[str, None] = {}
    for role in wanted:
        (named,) = role.items()
        if named not in held:
            raise BadRequest(f"Invalid application credential: Cannot create an application credential with unassigned role {named[1]}.")
        found[held[named]] = None
    return list(found)


def parse_expiry(told: str | None) -> datetime | None:
    """A moment of ISO 8601, in UTC where it names no zone. Raises BadRequest unless it is to come."""
    if told is None:
        return None
    try:
        moment = datetime.fromisoformat(told)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid input for field/attribute expires_at. Value: {told[:64]}. It is no moment of ISO 8601.") from None
    if moment <= datetime.now(UTC):
        raise BadRequest(f"Invalid input for field/attribute expires_at. Value: {told[:64]}. It must be to come.")
    return moment


def list_credentials(user_id: str, filters: Values) -> Select[Any]:
    """The user's credentials."""
    return filtered(select(ApplicationCredential).where(ApplicationCredential.user_id == user_id), filters, FILTERS)


def get_credential(tx: Tx, user_id: str, credential_id: str, *, lock: bool = False) -> ApplicationCredential:
    """The user's credential. Raises NotFound."""
    row = tx.get(ApplicationCredential, credential_id, with_for_update=lock or None)
    if row is None or row.user_id != user_id:
        raise NotFound(f"Could not find application credential: {credential_id}.")
    return row


def delete_credential(tx: Tx, user_id: str, credential_id: str) -> None:
    """Delete a credential; its tokens end with it. Raises NotFound."""
    tx.delete(get_credential(tx, user_id, credential_id, lock=True))
    tx.flush()
