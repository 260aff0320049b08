"""Looks at a domain's directory: before its users and groups are shown, their rows are brought up to what is there now.

What a look should have seen and did not is disabled, not deleted: what it was granted waits for its return. Whose name another has too gets no
row; a row that he has keeps its name, and the rest follows. Of an id that several have nothing is written; if none of them is enabled, he was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select

from common.auth import Actor
from common.db import Database, Tx
from common.errors import ServiceUnavailable
from identity.engine.ldap_directory import Directory, GroupEntry, UserEntry
from identity.models import Group, User
from identity.service import shadow
from identity.service.directory import ask, domains, doubtful, group_of, record, target_of, user_of
from identity.service.pool import Source
from identity.service.rows import own_domain

T = TypeVar("T", UserEntry, GroupEntry)
# Of so many groups that may have groups the members are asked for over one connection, which has its bounds.
PORTION = 20


@dataclass(frozen=True, slots=True)
class Synced:
    """What a whole look found, without doubtful ones, and how many users it disabled."""

    users: int
    groups: int
    members: int
    disabled: int


def see_user(db: Database, source: Source, actor: Actor, user_id: str) -> None:
    """Let the row of a directory's user, and its memberships, be as they are there now; nothing for another's. Raises ServiceUnavailable."""
    if len(user_id) != 64 or not domains(db):
        return
    target = target_of(db, user_id, domains(db))
    if target is None or target.external_id is None or not _sees(actor, target.domain_id, user_id):
        return

    def look(directory: Directory) -> None:
        found = directory.user(target.external_id or "")
        if found is None:
            db.run(lambda tx: shadow.disable_unseen(tx, target.domain_id, (), id=user_id))
        elif found.doubt != "id":
            record(db, target.domain_id, found, directory.groups_of(found))

    ask(db, source, target.domain_id, look)


def see_users(db: Database, source: Source, actor: Actor, filters: Mapping[str, Any]) -> None:
    """The same for the users of the one domain that a list is about: all, or those whose name passes the filters."""
    domain_id = _listed(db, actor, filters)
    if domain_id is None:
        return
    name, how = _wanted(filters)
    known = _known(db, User, domain_id, name, how)
    found = ask(db, source, domain_id, lambda directory: _with(directory.users(name, how), known, directory.user))
    users = [user_of(domain_id, entry) for entry in found if entry.doubt != "id"]
    seen = [_id(domain_id, "user", entry) for entry in found]

    def write(tx: Tx) -> None:
        shadow.put_users(tx, domain_id, users)
        if not how and (seen or name is not None):
            shadow.disable_unseen(tx, domain_id, seen, name=name)

    db.run(write)


def see_group(db: Database, source: Source, actor: Actor, group_id: str, *, members: bool = False) -> None:
    """The same for one group, and with `members` for who is in it."""
    known = domains(db)
    if len(group_id) != 64 or not known:
        return
    row = db.run(lambda tx: tx.execute(select(Group.domain_id, Group.external_id).where(Group.id == group_id)).first())
    if row is None or row.external_id is None or row.domain_id not in known or not _sees(actor, row.domain_id):
        return

    def look(directory: Directory) -> tuple[GroupEntry | None, list[UserEntry], list[UserEntry]]:
        team = directory.group(row.external_id)
        people = directory.users() if team is not None and members else []
        return team, people, [user for user, _ in directory.members([team], people)] if team is not None else []

    team, people, inside = ask(db, source, row.domain_id, look)

    def write(tx: Tx) -> None:
        if team is None:
            shadow.empty_unseen(tx, row.domain_id, (), id=group_id)
        if team is None or team.doubt == "id":
            return
        shadow.put_groups(tx, row.domain_id, [group_of(row.domain_id, team)])
        if members:
            users = [user_of(row.domain_id, entry) for entry in inside]
            shadow.put_users(tx, row.domain_id, users)
            kept = doubtful(row.domain_id, people, ())
            shadow.put_members(tx, row.domain_id, [(user.id, group_id) for user in users], groups=[group_id], kept=kept)

    db.run(write)


def see_groups(db: Database, source: Source, actor: Actor, filters: Mapping[str, Any]) -> None:
    """The same for the groups of the one domain that a list is about."""
    domain_id = _listed(db, actor, filters)
    if domain_id is None:
        return
    name, how = _wanted(filters)
    known = _known(db, Group, domain_id, name, how)
    found = ask(db, source, domain_id, lambda directory: _with(directory.groups(name, how), known, directory.group))
    groups = [group_of(domain_id, entry) for entry in found if entry.doubt != "id"]
    seen = [_id(domain_id, "group", entry) for entry in found]

    def write(tx: Tx) -> None:
        shadow.put_groups(tx, domain_id, groups)
        if not how and (seen or name is not None):
            shadow.empty_unseen(tx, domain_id, seen, name=name)

    db.run(write)


def sync(db: Database, domain_id: str) -> Synced:
    """Look at everybody: users, groups, memberships; who is gone is disabled. Raises ServiceUnavailable.

    A directory that shows no user at all is not believed: its reader has lost its rights, or the tree its place.
    """

    def look(directory: Directory) -> tuple[list[UserEntry], list[GroupEntry], list[tuple[UserEntry, GroupEntry]] | None]:
        people, teams = directory.users(), directory.groups()
        return people, teams, None if directory.nested() else directory.members(teams, people)

    people, teams, pairs = ask(db, ("", ""), domain_id, look)
    if not people:
        raise ServiceUnavailable(
            f"The directory of domain {domain_id} shows no user; nothing was changed. Look at ldap.user_tree_dn and user_filter."
        )
    users = [user_of(domain_id, entry) for entry in people if entry.doubt != "id"]
    groups = [group_of(domain_id, entry) for entry in teams if entry.doubt != "id"]
    seen, kept = [_id(domain_id, "user", entry) for entry in people], doubtful(domain_id, people, teams)

    def write(tx: Tx) -> int:
        shadow.put_users(tx, domain_id, users)
        shadow.put_groups(tx, domain_id, groups)
        if pairs is not None:
            shadow.put_members(tx, domain_id, _ids(domain_id, pairs), kept=kept)
        else:  # who is in those that there are is asked next
            shadow.empty_unseen(tx, domain_id, [_id(domain_id, "group", entry) for entry in teams])
        return shadow.disable_unseen(tx, domain_id, seen)

    disabled = db.run(write)
    members = len(pairs) if pairs is not None else _sync_chains(db, domain_id, people, teams)
    return Synced(sum(not each.doubt for each in people), sum(not each.doubt for each in teams), members, disabled)


def _sync_chains(db: Database, domain_id: str, people: list[UserEntry], teams: list[GroupEntry]) -> int:
    """Memberships where groups have groups, some groups at a time: a search for each takes long. How many there are. Raises ServiceUnavailable.

    What a portion says is written at once, and only of the users whom the whole look saw: of those who came since it knows nothing.
    """
    seen, members = [_id(domain_id, "user", entry) for entry in people if entry.doubt != "id"], 0
    for portion in (teams[start : start + PORTION] for start in range(0, len(teams), PORTION)):
        pairs = ask(db, ("", ""), domain_id, partial(Directory.members_in_chain, groups=portion, users=people))
        groups = [_id(domain_id, "group", entry) for entry in portion if entry.doubt != "id"]
        db.run(partial(shadow.put_members, domain_id=domain_id, pairs=_ids(domain_id, pairs), users=seen, groups=groups))
        members += len(pairs)
    return members


def _ids(domain_id: str, pairs: list[tuple[UserEntry, GroupEntry]]) -> list[tuple[str, str]]:
    return [(_id(domain_id, "user", user), _id(domain_id, "group", group)) for user, group in pairs]


def _id(domain_id: str, kind: str, entry: UserEntry | GroupEntry) -> str:
    return shadow.public_id(domain_id, kind, entry.external_id)


def _known(db: Database, table: type[User | Group], domain_id: str, name: str | None, how: str) -> str | None:
    """The external id of the row whose name a list asks for exactly: under another name it is not gone."""
    if name is None or how:
        return None
    return db.run(lambda tx: tx.scalar(select(table.external_id).where(table.domain_id == domain_id, table.name == name)))


def _with(found: list[T], external_id: str | None, one: Callable[[str], T | None]) -> list[T]:
    """What was found, and what has this id."""
    if external_id is None or any(each.external_id == external_id for each in found):
        return found
    more = one(external_id)
    return found if more is None else found + [more]  # noqa: RUF005  # a list of several would lose its type


def _listed(db: Database, actor: Actor, filters: Mapping[str, Any]) -> str | None:
    """The directory's domain that a list is about, if it is about one that the actor sees."""
    domain_id = filters.get("domain_id") or own_domain(actor)
    return domain_id if domain_id and domain_id in domains(db) and _sees(actor, domain_id) else None


def _sees(actor: Actor, domain_id: str, user_id: str | None = None) -> bool:
    return own_domain(actor) in (None, domain_id) or (user_id is not None and user_id == actor.user_id)


def _wanted(filters: Mapping[str, Any]) -> tuple[str | None, str]:
    """(name, how) of the first filter by name; SQL applies them all once more, and exactly."""
    for key, value in filters.items():
        name, _, match = key.partition("__")
        how = match.removeprefix("i") if match else ""
        if name == "name" and value and how in ("", "contains", "startswith", "endswith"):
            return str(value), how
    return None, ""
