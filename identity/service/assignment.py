"""The list of all that is granted: as it was given, or as it counts (`effective`: members of groups and implied roles spelled out).

One statement, names included, whatever the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest
from identity.service.rows import own_domain

SUBTREE = """
subtree(id) AS (
    SELECT CAST(:target_id AS text) UNION SELECT p.id FROM identity.project p JOIN subtree s ON p.parent_id = s.id
)"""
GIVEN = """
held AS (
    SELECT a.user_id, a.group_id, NULL::text AS via_group_id, a.target, a.target_id, a.role_id, a.inherited, NULL::text AS prior_role_id
    FROM identity.assignment a WHERE {where}
)"""
EFFECTIVE = """
held AS (
    SELECT coalesce(a.user_id, m.user_id) AS user_id, NULL::text AS group_id, a.group_id::text AS via_group_id, a.target, a.target_id,
           a.role_id, a.inherited, NULL::text AS prior_role_id
    FROM identity.assignment a LEFT JOIN identity.group_member m ON m.group_id = a.group_id
    WHERE (a.user_id IS NOT NULL OR m.user_id IS NOT NULL) AND NOT a.inherited AND {where}
    UNION
    SELECT h.user_id, h.group_id, h.via_group_id, h.target, h.target_id, i.implied_role_id, h.inherited, h.role_id::text
    FROM held h JOIN identity.implied_role i ON i.prior_role_id = h.role_id
)"""
NAMED = """
SELECT h.*, r.name AS role_name, rd.id AS role_domain_id, rd.name AS role_domain_name,
       u.name AS user_name, ud.id AS user_domain_id, ud.name AS user_domain_name,
       g.name AS group_name, gd.id AS group_domain_id, gd.name AS group_domain_name,
       t.name AS target_name, td.id AS target_domain_id, td.name AS target_domain_name
FROM held h JOIN identity.role r ON r.id = h.role_id LEFT JOIN identity.project rd ON rd.id = r.domain_id
LEFT JOIN identity."user" u ON u.id = h.user_id LEFT JOIN identity.project ud ON ud.id = u.domain_id
LEFT JOIN identity."group" g ON g.id = h.group_id LEFT JOIN identity.project gd ON gd.id = g.domain_id
LEFT JOIN identity.project t ON t.id = h.target_id LEFT JOIN identity.project td ON td.id = t.domain_id
WHERE {where} ORDER BY h.target, h.target_id, h.user_id, h.group_id, r.name, h.via_group_id, h.prior_role_id
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of the list; None is any. `target` system has no `target_id`."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    target: str | None = None
    target_id: str | None = None
    inherited: bool | None = None
    effective: bool = False
    subtree: bool = False

    def check(self) -> None:
        """Raise BadRequest for filters that contradict each other."""
        if self.user_id and self.group_id:
            raise BadRequest("Specify a user or group, not both.")
        if self.effective and (self.group_id or self.inherited):
            raise BadRequest("Combining effective with a group or with inherited assignments will always result in an empty list.")
        if self.subtree and self.target != "project":
            raise BadRequest("scope.project.id must be specified if include_subtree is also specified.")


def list_assignments(tx: Tx, actor: Actor, wanted: Wanted) -> list[RowMapping]:
    """The rows, with all names; an actor of one domain sees what is granted on it and on its projects. Raises BadRequest."""
    wanted.check()
    inner, outer, values = ["true"], ["true"], {}
    for name, clause, value in _clauses(wanted):
        if value is not None:
            (outer if name == "role_id" else inner).append(clause)
            values[name] = value
    domain = own_domain(actor)
    if domain is not None:
        inner.append("a.target_id IN (SELECT p.id FROM identity.project p WHERE :own IN (p.id, p.domain_id))")
        values["own"] = domain
    if wanted.effective:
        outer.append("r.domain_id IS NULL")
    held = (EFFECTIVE if wanted.effective else GIVEN).format(where=" AND ".join(inner))
    before = SUBTREE + "," if wanted.subtree else ""
    statement = f"WITH RECURSIVE {before}{held}{NAMED.format(where=' AND '.join(outer))}"
    return list(tx.execute(text(statement), values).mappings())


def _clauses(wanted: Wanted) -> list[tuple[str, str, Any]]:
    user = "(a.user_id = :user_id OR m.user_id = :user_id)" if wanted.effective else "a.user_id = :user_id"
    target = "a.target_id IN (SELECT s.id FROM subtree s)" if wanted.subtree else "a.target_id = :target_id"
    return [
        ("user_id", user, wanted.user_id), ("group_id", "a.group_id = :group_id", wanted.group_id),
        ("target", "a.target = :target", wanted.target), ("target_id", target, wanted.target_id),
        ("inherited", "a.inherited = :inherited", wanted.inherited), ("role_id", "h.role_id = :role_id", wanted.role_id),
    ]  # fmt: skip
