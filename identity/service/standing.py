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

from common.auth import Actor, Delegated
from common.db import Database
from common.errors import Unauthorized
from identity.service.keys import ring_of
from identity.service.token import INVALID, Delegation, Scope, Token, decode


def domain_named(name: str) -> str:
    """SQL for the id of the domain that the parameter `name` names: so written, else the only one that is but for its letters' case.

    Many a client's settings say `default`, which a Keystone on MySQL takes for `Default`.
    """
    return f"""(SELECT coalesce(min(n.id) FILTER (WHERE n.name = :{name}), CASE count(*) WHEN 1 THEN min(n.id) END)
        FROM identity.project n WHERE n.is_domain AND lower(n.name) = lower(:{name}))"""


# How the row of the scope is found. Names are resolved by the same statement that reads the rest.
TARGETS = {
    "id": "t.id = :target_id",
    "name+domain_id": "t.name = :target_name AND t.domain_id = :target_domain_id",
    "name+domain_name": f"t.name = :target_name AND d.id = {domain_named('target_domain_name')}",
    "domain_name": f"t.id = {domain_named('target_name')}",
    "default": 't.id = (SELECT u.default_project_id FROM identity."user" u WHERE u.id = :user_id)',
    "delegated": "t.id = (SELECT d.project_id FROM delegate d)",
    "none": "false",
}
# Where a grant must be to count on the scope; what is inherited counts below the project or domain that it was given on, and not there.
GRANTED = {
    "project": "a.target_id = ANY (ARRAY(SELECT l.id FROM line l)) AND a.inherited = (a.target_id <> (SELECT t.id FROM target t))",
    "domain": "a.target = 'domain' AND a.target_id = (SELECT t.id FROM target t) AND NOT a.inherited",
    "system": "a.target = 'system' AND a.target_id IS NULL AND NOT a.inherited",
    "none": "false",
}
LINE = """line(id, parent_id) AS (
    SELECT t.id, t.parent_id FROM target t UNION ALL SELECT p.id, p.parent_id FROM line l JOIN identity.project p ON p.id = l.parent_id
),"""
# What a token may stand on: whose roles it uses (bearer), as whom (subject), until when, and its row for whoever shows the token.
LASTING = "(d.expires_at IS NULL OR d.expires_at > common.now())"
# Whole seconds, as a token's: the last microsecond that there is would round up to a year that Python has not.
UNTIL = "extract(epoch FROM date_trunc('second', d.expires_at))"
DELEGATES = {
    "application_credential": f"""
        SELECT d.id, d.name, d.project_id, d.restricted, d.user_id AS subject_id, d.user_id AS bearer_id, {LASTING} AS live,
               {UNTIL} AS until, 0 AS epoch,
               (SELECT json_agg(json_build_object('id', r.id, 'service', r.service, 'path', r.path, 'method', r.method) ORDER BY x.position, r.id)
                FROM identity.application_credential_access_rule x JOIN identity.access_rule r ON r.id = x.access_rule_id
                WHERE x.application_credential_id = d.id) AS access_rules
        FROM identity.application_credential d WHERE d.id = :delegation_id""",
    # Handed on, it is still the first trustor whose roles count, and everybody on the way must be there.
    "trust": f"""
        SELECT d.id, d.project_id, d.impersonation, d.trustor_user_id, d.trustee_user_id, d.remaining_uses,
               CASE WHEN d.impersonation THEN d.trustor_user_id ELSE d.trustee_user_id END AS subject_id, people.bearer_id,
               {UNTIL} AS until, people.epoch, people.trustee_epoch, {LASTING} AND people.live AS live
        FROM identity.trust d CROSS JOIN LATERAL (
            WITH RECURSIVE up AS (
                SELECT d.redelegated_trust_id AS above, d.trustor_user_id AS trustor, d.trustee_user_id AS trustee
                UNION ALL
                SELECT t.redelegated_trust_id, t.trustor_user_id, t.trustee_user_id FROM up JOIN identity.trust t ON t.id = up.above
            )
            SELECT sum(u.epoch)::bigint AS epoch, max(u.epoch) FILTER (WHERE u.id = d.trustee_user_id) AS trustee_epoch,
                   bool_and(u.enabled AND ud.enabled) AS live, (SELECT up.trustor FROM up WHERE up.above IS NULL) AS bearer_id
            FROM identity."user" u JOIN identity.project ud ON ud.id = u.domain_id
            WHERE u.id IN (SELECT up.trustor FROM up UNION SELECT up.trustee FROM up)
        ) people WHERE d.id = :delegation_id""",
    "access_token": f"""
        SELECT d.id, d.consumer_id, d.project_id, d.authorizing_user_id AS subject_id, d.authorizing_user_id AS bearer_id, {LASTING} AS live,
               {UNTIL} AS until, 0 AS epoch
        FROM identity.access_token d WHERE d.id = :delegation_id""",
}
# The roles of the delegation, and what they imply: of a credential those that its user still has, else all, while their giver has them all.
KEPT = {
    "application_credential": "x.role_id IN (SELECT h.role_id FROM held h)",
    **{
        kind: f"""NOT EXISTS (
            SELECT FROM identity.{kind}_role y WHERE y.{kind}_id = :delegation_id AND y.role_id NOT IN (SELECT h.role_id FROM held h))"""
        for kind in ("trust", "access_token")
    },
}
LENT = """
    SELECT x.role_id FROM identity.{kind}_role x WHERE x.{kind}_id = :delegation_id AND {kept}
    UNION SELECT i.implied_role_id FROM lent g JOIN identity.implied_role i ON i.prior_role_id = g.role_id"""
STATEMENT = """
WITH RECURSIVE {delegate} target AS (
    SELECT t.id, t.name, t.enabled, t.epoch, t.parent_id, d.id AS domain_id, d.name AS domain_name, d.enabled AS domain_enabled
    FROM identity.project t LEFT JOIN identity.project d ON d.id = t.domain_id
    WHERE {target} AND t.is_domain = (:kind = 'domain')
), {line} held(role_id) AS (
    (SELECT a.role_id FROM identity.assignment a WHERE a.user_id = {bearer} AND {granted}
     UNION ALL
     SELECT a.role_id FROM identity.group_member m JOIN identity.assignment a ON a.group_id = m.group_id
     WHERE m.user_id = {bearer} AND {granted}
     UNION ALL
     SELECT a.role_id FROM identity.vouched_member m JOIN identity.assignment a ON a.group_id = m.group_id
     WHERE m.user_id = {bearer} AND m.expires_at > common.now() AND {granted})
    UNION
    SELECT i.implied_role_id FROM held h JOIN identity.implied_role i ON i.prior_role_id = h.role_id
), lent(role_id) AS ({lent})
SELECT u.id AS user_id, u.name AS user_name, u.enabled AS user_enabled, u.epoch AS user_epoch, u.options AS user_options,
       u.password_expires_at, u.default_project_id, ud.id AS user_domain_id, ud.name AS user_domain_name, ud.enabled AS user_domain_enabled,
       t.id AS target_id, t.name AS target_name, t.enabled AS target_enabled, t.epoch AS target_epoch, t.domain_id AS target_domain_id,
       t.domain_name AS target_domain_name, t.domain_enabled AS target_domain_enabled,
       EXISTS (SELECT FROM identity.revoked_token r WHERE r.audit_id = :audit_id) AS revoked,
       EXISTS (SELECT FROM identity.signing_key k WHERE k.kid = :kid) AS key_known,
       {delegation} AS delegation,
       ARRAY(SELECT m.group_id FROM identity.vouched_member m WHERE m.user_id = {subject} AND m.expires_at > common.now() ORDER BY 1)
       AS vouched_groups,
       (SELECT coalesce(json_agg(json_build_array(r.id, r.name) ORDER BY r.name), '[]')
        FROM lent h JOIN identity.role r ON r.id = h.role_id WHERE r.domain_id IS NULL) AS roles
FROM identity."user" u JOIN identity.project ud ON ud.id = u.domain_id LEFT JOIN target t ON true
WHERE u.id = {subject}
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer. `target_*` are the project's or the domain's; None where the scope is the system or nothing.

    delegation: the row of what the token stands on; `live` says whether it holds, `until` when it ends (seconds since 1970, or None).
    """

    user_id: str
    user_name: str
    user_enabled: bool
    user_epoch: int
    user_options: dict[str, Any]
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
    delegation: dict[str, Any] | None
    vouched_groups: list[str]
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
        return self.user_epoch, (self.target_epoch or 0) + (self.delegation or {}).get("epoch", 0)

    @property
    def login_epoch(self) -> int:
        """The epoch of the user who logs in: with a trust that is the trustee, whoever he is then."""
        epoch: int = (self.delegation or {}).get("trustee_epoch", self.user_epoch)
        return epoch


@functools.cache
def _statement(kind: str, target: str, delegation: str | None) -> TextClause:
    parts = {
        "bearer": ":user_id",
        "subject": ":user_id",
        "delegate": "",
        "lent": "SELECT h.role_id FROM held h",
        "delegation": "NULL::json",
    }
    if delegation is not None:
        parts = {
            "bearer": "(SELECT d.bearer_id FROM delegate d)", "subject": "(SELECT d.subject_id FROM delegate d)",
            "delegate": f"delegate AS ({DELEGATES[delegation]}),", "lent": LENT.format(kind=delegation, kept=KEPT[delegation]),
            "delegation": "(SELECT row_to_json(d) FROM delegate d)",
        }  # fmt: skip
    line = LINE if kind == "project" else ""
    return text(STATEMENT.format(target=TARGETS[target], granted=GRANTED[kind], line=line, **parts))


def ask(db: Database, kind: str, target: str, values: Mapping[str, str | None], delegation: Delegation | None = None) -> Standing | None:
    """The standing of user `values["user_id"]` on the scope that `target` (a key of TARGETS) finds; None for no such user or delegation.

    With a delegation, of its user (see `DELEGATES`), whoever is asked for. One round trip to PostgreSQL, outside any transaction.
    """
    given = {"user_id": None, "kind": kind, "audit_id": None, "kid": None, **values}
    if delegation is not None:
        given["delegation_id"] = delegation.id
    row = db.first(_statement(kind, target, delegation.kind if delegation is not None else None), given)
    if row is None:
        return None
    if delegation is not None and row["delegation"]["project_id"] is None:
        kind = "none"
    return Standing(**{**row, "roles": tuple((role[0], role[1]) for role in row["roles"]), "kind": kind})


def delegated(db: Database, delegation: Delegation) -> Standing | None:
    """The standing that a delegation gives, on its own project; None where there is none such."""
    return ask(db, "project", "delegated", {}, delegation)


def validate(db: Database, raw: str, *, allow_expired: bool = False) -> tuple[Token, Standing]:
    """The token and its standing now. Raises Unauthorized. One query."""
    token = decode(raw, ring_of(db), allow_expired=allow_expired)
    return token, of_token(db, token)


def of_token(db: Database, token: Token) -> Standing:
    """The standing behind a token whose signature holds. Raises Unauthorized if anything has ended it since."""
    found = look(db, token)
    if found is None or not holds(token, found):
        raise Unauthorized(INVALID)
    return found


def look(db: Database, token: Token) -> Standing | None:
    """The standing of a token's bearer on its scope, whether or not the token holds; None where the user or the delegation is gone."""
    values = {"user_id": token.user_id, "target_id": token.scope.id, "audit_id": token.audit_ids[0], "kid": token.kid}
    if token.delegation is not None:
        return ask(db, "project", "delegated", values, token.delegation)
    return ask(db, token.scope.kind, "id" if token.scope.id is not None else "none", values)


def holds(token: Token, found: Standing) -> bool:
    """Whether nothing has ended the token since it was issued."""
    stands = token.delegation is None or bool(found.delegation and found.delegation["live"] and found.user_id == token.user_id)
    return (
        found.key_known and not found.revoked and found.user_live and found.scope_live and stands and found.scope == token.scope
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
        delegation=_stands_on(token.delegation, found.delegation or {}),
    )  # fmt: skip


def _stands_on(delegation: Delegation | None, row: Mapping[str, Any]) -> Delegated | None:
    if delegation is None:
        return None
    rules = row.get("access_rules")
    allowed = tuple((rule["service"], rule["method"], rule["path"]) for rule in rules) if rules is not None else None
    return Delegated(delegation.kind, delegation.id, row.get("restricted", True), allowed, row)
