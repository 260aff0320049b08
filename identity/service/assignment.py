"""The list of all that is granted: as it was given, or as it counts (`effective`).

What counts is spelled out: for each member of a group, on each project below where it is inherited, and with each role that is implied. One
statement, names included, whatever the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest
from identity.models import Project
from identity.service.rows import find, own_domain

Row = dict[str, Any]

ONE = "wanted(id) AS (SELECT CAST(:target_id AS text))"
SUBTREE = """
wanted(id) AS (
    SELECT CAST(:target_id AS text) UNION SELECT p.id FROM identity.project p JOIN wanted w ON p.parent_id = w.id
)"""
GIVEN = """
held AS (
    SELECT a.user_id, a.group_id, NULL::text AS via_group_id, a.target, a.target_id, a.target AS from_target, a.target_id AS from_id,
           a.role_id, a.role_id AS granted_role_id, a.inherited, NULL::text AS prior_role_id
    FROM identity.assignment a WHERE {where}
)"""
# What inherited roles come down to: `id` is a project below `root`. Found upwards where projects are asked for, else downwards from the grants.
UPWARDS = """
spread(root, id) AS (
    SELECT p.parent_id, p.id FROM identity.project p WHERE p.parent_id IS NOT NULL AND p.id IN (SELECT w.id FROM wanted w)
    UNION SELECT p.parent_id, s.id FROM spread s JOIN identity.project p ON p.id = s.root WHERE p.parent_id IS NOT NULL
)"""
DOWNWARDS = """
spread(root, id) AS (
    SELECT p.parent_id, p.id FROM identity.project p WHERE p.parent_id IN (SELECT g.target_id FROM given g WHERE g.inherited)
    UNION SELECT s.root, p.id FROM spread s JOIN identity.project p ON p.parent_id = s.id
)"""
MEMBERS = """
member(user_id, group_id) AS (
    SELECT m.user_id, m.group_id FROM identity.group_member m WHERE {whose}
    UNION SELECT m.user_id, m.group_id FROM identity.vouched_member m WHERE m.expires_at > common.now() AND {whose}
), given AS (
    SELECT coalesce(a.user_id, m.user_id) AS user_id, a.group_id AS via_group_id, a.target, a.target_id, a.role_id, a.inherited
    FROM identity.assignment a LEFT JOIN member m ON m.group_id = a.group_id
    WHERE (a.user_id IS NOT NULL OR m.user_id IS NOT NULL) AND {where}
)"""
EFFECTIVE = """
held AS (
    (SELECT g.user_id, NULL::text AS group_id, g.via_group_id::text, g.target::text, g.target_id::text, g.target AS from_target,
            g.target_id AS from_id, g.role_id::text, g.role_id AS granted_role_id, false AS inherited, NULL::text AS prior_role_id
     FROM given g WHERE NOT g.inherited
     UNION ALL
     SELECT g.user_id, NULL, g.via_group_id, 'project', s.id, g.target, g.target_id, g.role_id, g.role_id, true, NULL
     FROM given g JOIN spread s ON s.root = g.target_id WHERE g.inherited)
    UNION
    SELECT h.user_id, h.group_id, h.via_group_id, h.target, h.target_id, h.from_target, h.from_id, i.implied_role_id, h.granted_role_id,
           h.inherited, h.role_id
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
WHERE {where} ORDER BY h.target, h.target_id, h.user_id, h.group_id, r.name, h.via_group_id, h.prior_role_id, h.from_id
"""
OWN = "a.target_id IN (SELECT p.id FROM identity.project p WHERE :own IN (p.id, p.domain_id))"


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
        if self.effective and self.group_id:
            raise BadRequest("Combining effective and group filter will always result in an empty list.")
        if self.effective and self.inherited and self.target == "domain":
            raise BadRequest("Combining effective, domain and inherited filters will always result in an empty list.")
        if self.subtree and self.target != "project":
            raise BadRequest("scope.project.id must be specified if include_subtree is also specified.")


def list_assignments(tx: Tx, actor: Actor, wanted: Wanted) -> list[Row]:
    """The rows, with all names; whoever sees one domain is shown what is granted on it and on its projects.

    Raises BadRequest; with `subtree`, NotFound for an unknown project, or Forbidden for one that the actor does not see.
    """
    wanted.check()
    domain = own_domain(actor)
    if wanted.subtree:
        find(tx, Project, wanted.target_id or "", "project", actor)
    statement, values = _statement(wanted, domain)
    rows = [dict(row) for row in tx.execute(text(statement), values).mappings()]
    return rows if domain is None else [_masked(row, domain) for row in rows]


def _statement(wanted: Wanted, domain: str | None) -> tuple[str, Row]:
    """The SQL and its parameters."""
    inner, outer, values = ["true"], ["true"], {}
    for name, clause, value in _clauses(wanted):
        if value is not None:
            (outer if clause.startswith("h.") else inner).append(clause)
            values[name] = value
    if domain is not None:
        inner.append(OWN)
        values["own"] = domain
    if wanted.effective:
        outer.append("r.domain_id IS NULL")
    parts = _projects(wanted, inner) + _held(wanted, " AND ".join(inner))
    return f"WITH RECURSIVE {','.join(parts)}{NAMED.format(where=' AND '.join(outer))}", values


def _clauses(wanted: Wanted) -> list[tuple[str, str, Any]]:
    """(parameter, clause on the grant `a` or the row `h`, value)."""
    user = "(a.user_id = :user_id OR m.user_id = :user_id)" if wanted.effective else "a.user_id = :user_id"
    found = "h" if wanted.effective else "a"
    place = "h.target_id = :target_id" if wanted.target != "project" else f"{found}.target_id IN (SELECT w.id FROM wanted w)"
    return [
        ("user_id", user, wanted.user_id), ("group_id", "a.group_id = :group_id", wanted.group_id),
        ("target", f"{found}.target = :target", wanted.target), ("target_id", place, wanted.target_id),
        ("inherited", f"{found}.inherited = :inherited", wanted.inherited), ("role_id", "h.role_id = :role_id", wanted.role_id),
    ]  # fmt: skip


def _projects(wanted: Wanted, inner: list[str]) -> list[str]:
    """The projects that are asked for. For what counts there, grants on them and above; on a domain or the system, grants on it itself."""
    if wanted.target != "project":
        if wanted.effective and wanted.target is not None:
            inner.append("NOT a.inherited")
        return []
    if wanted.effective:
        inner.append("a.target_id IN (SELECT w.id FROM wanted w UNION SELECT s.root FROM spread s)")
    return [SUBTREE if wanted.subtree else ONE]


def _held(wanted: Wanted, where: str) -> list[str]:
    if not wanted.effective:
        return [GIVEN.format(where=where)]
    whose = "m.user_id = :user_id" if wanted.user_id is not None else "true"
    return [UPWARDS if wanted.target == "project" else DOWNWARDS, MEMBERS.format(where=where, whose=whose), EFFECTIVE]


def _masked(row: Row, domain: str) -> Row:
    """The row with ids in place of the names of other domains and of what is theirs."""
    for part in ("role", "user", "group", "target"):
        if row[f"{part}_domain_id"] not in (None, domain):
            row |= {f"{part}_name": row[f"{part}_id"], f"{part}_domain_name": row[f"{part}_domain_id"]}
    return row
