"""What SQL says now of a user and a scope: still enabled, which epochs, which roles. One statement, whatever is asked.

The check of a token and the issue of one both stand on it, so they cannot disagree.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError

from common.auth import Actor
from common.db import Database
from common.errors import Unauthorized
from identity.service.token import INVALID, Scope, Token

# How the row of the scope is found. Names are resolved by the same statement that reads the rest.
TARGETS = {
    "id": "t.id = :target_id",
    "name+domain_id": "t.name = :target_name AND t.domain_id = :target_domain_id",
    "name+domain_name": "t.name = :target_name AND d.name = :target_domain_name AND d.is_domain",
    "domain_name": "t.name = :target_name AND t.domain_id IS NULL",
    "default": 't.id = (SELECT u.default_project_id FROM identity."user" u WHERE u.id = :user_id)',
    "none": "false",
}
GRANTED = "a.target = :kind AND a.target_id {of_target} AND NOT a.inherited"
STATEMENT = """
WITH RECURSIVE target AS (
    SELECT t.id, t.name, t.enabled, t.epoch, d.id AS domain_id, d.name AS domain_name, d.enabled AS domain_enabled
    FROM identity.project t LEFT JOIN identity.project d ON d.id = t.domain_id
    WHERE {target} AND t.is_domain = (:kind = 'domain')
), held(role_id) AS (
    (SELECT a.role_id FROM identity.assignment a WHERE a.user_id = :user_id AND {granted}
     UNION ALL
     SELECT a.role_id FROM identity.group_member m JOIN identity.assignment a ON a.group_id = m.group_id
     WHERE m.user_id = :user_id AND {granted})
    UNION
    SELECT i.implied_role_id FROM held h JOIN identity.implied_role i ON i.prior_role_id = h.role_id
)
SELECT u.id AS user_id, u.name AS user_name, u.enabled AS user_enabled, u.epoch AS user_epoch, u.password_expires_at,
       u.default_project_id, ud.id AS user_domain_id, ud.name AS user_domain_name, ud.enabled AS user_domain_enabled,
       t.id AS target_id, t.name AS target_name, t.enabled AS target_enabled, t.epoch AS target_epoch, t.domain_id AS target_domain_id,
       t.domain_name AS target_domain_name, t.domain_enabled AS target_domain_enabled,
       EXISTS (SELECT FROM identity.revoked_token r WHERE r.audit_id = :audit_id) AS revoked,
       EXISTS (SELECT FROM identity.signing_key k WHERE k.kid = :kid) AS key_known,
       (SELECT coalesce(json_agg(json_build_array(r.id, r.name) ORDER BY r.name), '[]')
        FROM held h JOIN identity.role r ON r.id = h.role_id WHERE r.domain_id IS NULL) AS roles
FROM identity."user" u JOIN identity.project ud ON ud.id = u.domain_id LEFT JOIN target t ON true
WHERE u.id = :user_id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer. `target_*` are the project's or the domain's; None where the scope is the system or nothing."""

    user_id: str
    user_name: str
    user_enabled: bool
    user_epoch: int
    password_expires_at: datetime | None
    default_project_id: str | None
    user_domain_id: str
    user_domain_name: str
    user_domain_enabled: bool
    target_id: str | None
    target_name: str | None
    target_enabled: bool | None
    target_epoch: int | None
    target_domain_id: str | None
    target_domain_name: str | None
    target_domain_enabled: bool | None
    revoked: bool
    key_known: bool
    roles: tuple[tuple[str, str], ...]
    kind: str

    @property
    def user_live(self) -> bool:
        """Whether the user and the user's domain are enabled."""
        return self.user_enabled and self.user_domain_enabled

    @property
    def scope_live(self) -> bool:
        """Whether the scope is there, enabled, and the user has a role on it. Nothing is asked of an unscoped token."""
        if self.kind == "none":
            return True
        if not self.roles:
            return False
        return self.kind == "system" or bool(self.target_enabled and self.target_domain_enabled is not False)

    @property
    def scope(self) -> Scope:
        """The scope, its name resolved."""
        return Scope(self.kind, self.target_id)

    @property
    def epochs(self) -> tuple[int, int]:
        """The epochs that a token issued now carries."""
        return self.user_epoch, self.target_epoch or 0


@functools.cache
def _statement(kind: str, target: str) -> TextClause:
    granted = GRANTED.format(of_target="IS NULL" if kind == "system" else "= (SELECT t.id FROM target t)")
    return text(STATEMENT.format(target=TARGETS[target], granted=granted))


def ask(db: Database, kind: str, target: str, values: Mapping[str, str | None]) -> Standing | None:
    """The standing of user `values["user_id"]` on the scope that `target` (a key of TARGETS) finds; None for no such user.

    One round trip to PostgreSQL, outside any transaction.
    """
    given = {"user_id": None, "kind": kind, "audit_id": None, "kid": None, **values}
    row = query(db, _statement(kind, target), given)
    if row is None:
        return None
    fields = {**row, "roles": tuple((role[0], role[1]) for role in row["roles"]), "kind": kind}
    return Standing(**fields)


def query(db: Database, statement: TextClause, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first row of a read that needs no transaction; asked again if the pooled connection had died meanwhile."""
    for attempt in (0, 1):
        try:
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                row = connection.execute(statement, values).mappings().first()
                return dict(row) if row is not None else None
        except DBAPIError as error:
            if attempt or not error.connection_invalidated:
                raise
    raise AssertionError("unreachable")


def of_token(db: Database, token: Token) -> Standing:
    """The standing behind a token whose signature holds. Raises Unauthorized if anything has ended it since."""
    target = "id" if token.scope.id is not None else "none"
    found = ask(db, token.scope.kind, target, {
        "user_id": token.user_id, "target_id": token.scope.id, "audit_id": token.audit_ids[0], "kid": token.kid,
    })  # fmt: skip
    if found is None or not holds(token, found):
        raise Unauthorized(INVALID)
    return found


def holds(token: Token, found: Standing) -> bool:
    """Whether nothing has ended the token since it was issued."""
    return (
        found.key_known and not found.revoked and found.user_live and found.scope_live
        and (token.user_epoch, token.scope_epoch) == found.epochs
    )  # fmt: skip


def actor(token: Token, found: Standing) -> Actor:
    """The bearer, for the services."""
    project, domain = token.scope.kind == "project", token.scope.kind == "domain"
    return Actor(
        user_id=found.user_id, user_name=found.user_name, user_domain_id=found.user_domain_id, user_domain_name=found.user_domain_name,
        project_id=found.target_id if project else None, project_name=found.target_name if project else None,
        project_domain_id=found.target_domain_id if project else None,
        project_domain_name=found.target_domain_name if project else None,
        domain_id=found.target_id if domain else None, domain_name=found.target_name if domain else None,
        system=token.scope.kind == "system", roles=frozenset(name for _, name in found.roles), role_ids=found.roles,
        methods=token.methods, audit_ids=token.audit_ids, issued_at=token.issued_at, expires_at=token.expires_at,
    )  # fmt: skip
