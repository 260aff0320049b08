"""The rows that stand for the users and groups of a directory, so that everything else of identity finds them where all others are.

What is written here is what a directory said at one look; repeated, it changes nothing. One writer a domain at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from common.db import Tx, lock_name

# A name that the directory gives to another now is let go of first: the row that had it bears one that nobody can have foreseen until it is seen
# again (people write their own names; any fixed one they could take). A row of ours keeps its name, and the directory's stays out.
# A name that is NULL is one that two have: no row is made for it, and one that is known keeps its own.
USERS = """
WITH seen AS (
    SELECT s.id, s.external_id, coalesce(s.name, k.name) AS name, s.enabled, s.default_project_id, s.extra
    FROM jsonb_to_recordset(:rows) AS s(id text, external_id text, name text, enabled boolean, default_project_id text, extra jsonb)
    LEFT JOIN identity."user" k ON k.id = s.id
    WHERE coalesce(s.name, k.name) IS NOT NULL
    AND NOT EXISTS (SELECT FROM identity."user" o WHERE o.domain_id = :domain_id AND o.name = s.name AND o.external_id IS NULL)
)
INSERT INTO identity."user" AS u (id, domain_id, external_id, name, enabled, default_project_id, extra)
SELECT id, :domain_id, external_id, name, enabled, default_project_id, extra FROM seen ORDER BY id
ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, extra = excluded.extra,
    default_project_id = coalesce(excluded.default_project_id, u.default_project_id),
    epoch = u.epoch + (u.enabled AND NOT excluded.enabled)::int
WHERE (u.name, u.enabled, u.extra, u.default_project_id) IS DISTINCT FROM
      (excluded.name, excluded.enabled, excluded.extra, coalesce(excluded.default_project_id, u.default_project_id))
"""
GROUPS = """
WITH seen AS (
    SELECT s.id, s.external_id, coalesce(s.name, k.name) AS name, s.description
    FROM jsonb_to_recordset(:rows) AS s(id text, external_id text, name text, description text)
    LEFT JOIN identity."group" k ON k.id = s.id
    WHERE coalesce(s.name, k.name) IS NOT NULL
    AND NOT EXISTS (SELECT FROM identity."group" o WHERE o.domain_id = :domain_id AND o.name = s.name AND o.external_id IS NULL)
)
INSERT INTO identity."group" AS g (id, domain_id, external_id, name, description)
SELECT id, :domain_id, external_id, name, description FROM seen ORDER BY id
ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description
WHERE (g.name, g.description) IS DISTINCT FROM (excluded.name, excluded.description)
"""
LET_GO = """
UPDATE identity."{table}" o SET name = gen_random_uuid() FROM jsonb_to_recordset(:rows) AS s(id text, name text)
WHERE o.domain_id = :domain_id AND o.external_id IS NOT NULL AND o.name = s.name AND o.id <> s.id
"""
# `known`: what the look was about; NULL is all of the domain's. What of it was not seen is disabled, and its tokens end.
VANISHED_USERS = """
UPDATE identity."user" SET enabled = false, epoch = epoch + 1
WHERE domain_id = :domain_id AND external_id IS NOT NULL AND enabled AND NOT id = ANY(:seen) {narrower}
"""
# A group has no switch; without members it gives nobody anything, and what was granted to it is there when it comes back.
VANISHED_GROUPS = """
DELETE FROM identity.group_member m USING identity."group" g
WHERE g.id = m.group_id AND g.domain_id = :domain_id AND g.external_id IS NOT NULL AND NOT g.id = ANY(:seen) {narrower}
"""
LEFT = """
DELETE FROM identity.group_member m USING identity."group" g
WHERE g.id = m.group_id AND g.domain_id = :domain_id AND g.external_id IS NOT NULL {narrower}
AND NOT m.user_id = ANY(:kept) AND NOT m.group_id = ANY(:kept)
AND NOT EXISTS (SELECT FROM jsonb_to_recordset(:rows) AS s(user_id text, group_id text) WHERE s.user_id = m.user_id AND s.group_id = m.group_id)
"""
JOINED = """
INSERT INTO identity.group_member (user_id, group_id)
SELECT u.id, g.id FROM jsonb_to_recordset(:rows) AS s(user_id text, group_id text)
JOIN identity."user" u ON u.id = s.user_id AND u.domain_id = :domain_id JOIN identity."group" g ON g.id = s.group_id AND g.domain_id = :domain_id
ORDER BY u.id, g.id ON CONFLICT DO NOTHING
"""
# Whether rows are as the directory says, and the user's epoch; one statement, so that the ordinary log-in writes nothing.
SAME = """
SELECT u.epoch FROM identity."user" u
WHERE u.id = :id AND u.domain_id = :domain_id
AND (u.name, u.enabled, u.extra) = (coalesce(CAST(:name AS text), u.name), :enabled, CAST(:extra AS jsonb))
AND coalesce(CAST(:project AS text), u.default_project_id) IS NOT DISTINCT FROM u.default_project_id
AND (SELECT coalesce(jsonb_agg(jsonb_build_array(g.id, g.name, g.description) ORDER BY g.id COLLATE "C"), '[]')
     FROM identity.group_member m JOIN identity."group" g ON g.id = m.group_id
     WHERE m.user_id = u.id AND g.domain_id = u.domain_id AND g.external_id IS NOT NULL) = CAST(:groups AS jsonb)
"""


@dataclass(frozen=True, slots=True)
class ShadowUser:
    """A user as the directory has it now. `name` None: another has it too."""

    id: str
    external_id: str
    name: str | None
    enabled: bool
    default_project_id: str | None
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShadowGroup:
    """A group as the directory has it now. `name` None: another has it too."""

    id: str
    external_id: str
    name: str | None
    description: str


def public_id(domain_id: str, kind: str, external_id: str) -> str:
    """The id under which our API knows a directory's `user` or `group`: Keystone's, so that a cloud that moves keeps its ids.

    Source: keystone/identity/id_generators/sha256.py, over the values of domain_id, entity_type, local_id in the order of these names.
    """
    return hashlib.sha256(f"{domain_id}{kind}{external_id}".encode()).hexdigest()


def put_users(tx: Tx, domain_id: str, users: Iterable[ShadowUser]) -> None:
    """Make or renew the users' rows; of one without a name renew all else."""
    rows = [{name: getattr(each, name) for name in ShadowUser.__slots__} for each in users]
    _put(tx, "user", USERS, domain_id, rows)


def put_groups(tx: Tx, domain_id: str, groups: Iterable[ShadowGroup]) -> None:
    """Make or renew the groups' rows; of one without a name renew all else."""
    rows = [{name: getattr(each, name) for name in ShadowGroup.__slots__} for each in groups]
    _put(tx, "group", GROUPS, domain_id, rows)


def _put(tx: Tx, table: str, statement: str, domain_id: str, rows: list[dict[str, Any]]) -> None:
    _lock(tx, domain_id)
    if rows:
        values = {"rows": rows, "domain_id": domain_id}
        tx.execute(_rows(LET_GO.format(table=table)), values)
        tx.execute(_rows(statement), values)


def disable_unseen(tx: Tx, domain_id: str, seen: Iterable[str], *, id: str | None = None, name: str | None = None) -> int:
    """Disable the domain's users that were not seen, of all, of one id or of one name; their tokens end. Gives how many there were."""
    return _vanish(tx, VANISHED_USERS, "", domain_id, seen, id, name)


def empty_unseen(tx: Tx, domain_id: str, seen: Iterable[str], *, id: str | None = None, name: str | None = None) -> int:
    """Take the members out of the domain's groups that were not seen. Gives how many memberships ended."""
    return _vanish(tx, VANISHED_GROUPS, "g.", domain_id, seen, id, name)


def _vanish(tx: Tx, statement: str, of: str, domain_id: str, seen: Iterable[str], id: str | None, name: str | None) -> int:
    _lock(tx, domain_id)
    narrower = "".join(f"AND {of}{column} = :{column} " for column, value in (("id", id), ("name", name)) if value is not None)
    values = {
        "domain_id": domain_id,
        "seen": list(seen),
        **({"id": id} if id is not None else {}),
        **({"name": name} if name is not None else {}),
    }
    found: Any = tx.execute(text(statement.format(narrower=narrower)), values)
    return int(found.rowcount)


def put_members(
    tx: Tx,
    domain_id: str,
    pairs: Iterable[tuple[str, str]],
    *,
    users: Iterable[str] | None = None,
    groups: Iterable[str] | None = None,
    kept: Iterable[str] = (),
) -> None:
    """Let (user, group) be the memberships in the directory's groups: of these users in these groups, or (None) of all.

    kept: users and groups of whom nothing is known now; those that they have stay.
    """
    _lock(tx, domain_id)
    rows = [{"user_id": user, "group_id": group} for user, group in pairs]
    named = {column: list(ids) for column, ids in (("user_id", users), ("group_id", groups)) if ids is not None}
    narrower = "".join(f"AND m.{column} = ANY(:{column}) " for column in named)
    tx.execute(_rows(LEFT.format(narrower=narrower)), {"rows": rows, "domain_id": domain_id, "kept": list(kept), **named})
    tx.execute(_rows(JOINED), {"rows": rows, "domain_id": domain_id})


def same(tx: Tx, domain_id: str, user: ShadowUser, groups: Iterable[ShadowGroup]) -> int | None:
    """The user's epoch, if the rows of user, groups and memberships are as they should be; else None."""
    wanted = sorted(([each.id, each.name, each.description] for each in groups), key=lambda each: str(each[0]))
    return tx.execute(
        text(SAME),
        {
            "id": user.id, "domain_id": domain_id, "name": user.name, "enabled": user.enabled, "project": user.default_project_id,
            "extra": json.dumps(dict(user.extra)), "groups": json.dumps(wanted),
        },
    ).scalar()  # fmt: skip


def _lock(tx: Tx, domain_id: str) -> None:
    lock_name(tx, f"identity.directory:{domain_id}")


def _rows(statement: str) -> Any:
    return text(statement).bindparams(bindparam("rows", type_=JSONB))
