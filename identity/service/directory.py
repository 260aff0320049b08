"""Domains whose users and groups are a directory's (`identity.driver = ldap`): which they are, how it is asked, and log-ins that it judges.

A question to a directory runs in one of its few threads, with no transaction open; what it saw is then written in one.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from sqlalchemy import select, text

from common.clock import boottime
from common.db import Database, Tx
from common.errors import Forbidden, ServiceUnavailable, Unauthorized
from identity.engine.ldap_directory import Directory, GroupEntry, UserEntry
from identity.engine.ldap_types import Ambiguous, DirectoryAway, Opener, Settings
from identity.models import Group, User
from identity.service import domain_config, shadow
from identity.service.pool import Pool, Source
from identity.service.shadow import ShadowGroup, ShadowUser
from identity.service.standing import domain_named

LOG = logging.getLogger(__name__)
T = TypeVar("T")
# Seconds: that this process believes what it read of the configuration; that a directory which let us wait is not asked again; after which every
# refused log-in is answered, whoever it named.
KNOWN_SECONDS, AWAY_SECONDS, REFUSAL_SECONDS = 5.0, 2.0, 0.5
SLOW_SECONDS = 1.0
# Of each directory: how many threads may be in it, and how many log-ins and looks wait for one.
WORKERS, WAITING = 4, 16
OURS = frozenset({"options", "default_project_id"})
DOMAINS = text("""
SELECT d.id, d.name FROM identity.domain_config c JOIN identity.project d ON d.id = c.domain_id
WHERE c."group" = 'identity' AND c.option = 'driver' AND c.value = '"ldap"'
""")
IS_ONE = text("""
SELECT EXISTS (SELECT FROM identity.domain_config WHERE domain_id = :id AND "group" = 'identity' AND option = 'driver' AND value = '"ldap"')
""")
MEMBERS = text("""
SELECT d.domain_id FROM (
    SELECT domain_id FROM identity."user" WHERE id = :user_id AND external_id IS NOT NULL
    UNION ALL SELECT domain_id FROM identity."group" WHERE id = :group_id AND external_id IS NOT NULL
) d JOIN identity.domain_config c ON c.domain_id = d.domain_id AND c."group" = 'identity' AND c.option = 'driver' AND c.value = '"ldap"'
LIMIT 1
""")
DOMAIN = text(f"SELECT {domain_named('name')} AS id")
_opener: Opener | None = None
_generation = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a log-in names that a directory must judge, by `name` or else by id; the rest is of the row, if there is one.

    `domain_id` "": an id of the directories' form that nobody has.
    """

    domain_id: str
    name: str | None = None
    external_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """Who the directory says it is; `epoch` is the user's now."""

    user_id: str
    epoch: int


@dataclass
class _Gate:
    """The way to one directory: few at a time, and nobody for a while after it let one wait in vain."""

    pool: Pool = field(default_factory=lambda: Pool(WORKERS, WAITING))
    away_until: float = 0.0


class _Known:
    """What this process knows of the directories of one database."""

    def __init__(self, db: Database) -> None:
        self._db, self._lock = db, threading.Lock()
        self._read: tuple[int, float] = (-1, 0.0)
        self._names: dict[str, str] = {}
        self._settings: dict[str, Settings] = {}
        self._gates: dict[str, _Gate] = {}

    def domains(self) -> dict[str, str]:
        """Domain id → name. At most one query every KNOWN_SECONDS."""
        generation, at = self._read
        if generation == _generation and boottime() < at + KNOWN_SECONDS:
            return self._names
        now = (_generation, boottime())
        names = dict(self._db.run(lambda tx: [(row.id, row.name) for row in tx.execute(DOMAINS)]))
        with self._lock:
            self._read, self._names, self._settings = now, names, {}
        return names

    def settings(self, domain_id: str) -> Settings:
        """How the domain's directory is reached and read. Raises ServiceUnavailable where its secrets cannot be read."""
        found = self._settings.get(domain_id)
        if found is None:
            options, secrets = self._db.run(lambda tx: domain_config.read_ldap(tx, domain_id))
            options = domain_config.substituted(options, secrets)
            known = {each.name for each in fields(Settings)}
            usable: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in options.items() if name in known
            }
            found = self._settings[domain_id] = Settings(**usable)
        return found

    def gate(self, domain_id: str) -> _Gate:
        """The way to the domain's directory."""
        with self._lock:
            return self._gates.setdefault(domain_id, _Gate())


@functools.lru_cache(maxsize=4)
def _of(db: Database) -> _Known:
    return _Known(db)


def use(opener: Opener | None) -> None:
    """Reach directories by `opener`; None: by python-ldap."""
    global _opener
    _opener = opener


def forget() -> None:
    """Read the configuration anew at the next question (this process itself changed it)."""
    global _generation
    _generation += 1


def domains(db: Database) -> dict[str, str]:
    """The domains that have a directory: id → name. At most one query every few seconds."""
    return _of(db).domains()


def of_login(db: Database, user: Mapping[str, Any]) -> Target | None:
    """Which directory must judge the log-in of `{"id"}` or `{"name", "domain": {"id"} or {"name"}}`; None: the password is one of ours.

    No query in a cloud without directories, else one at the most; two, where a directory's domain is named in other letters.
    """
    known = domains(db)
    if not known:
        return None
    if "id" in user:
        return target_of(db, str(user["id"]), known)
    domain_id, name = _named(db, user.get("domain") or {}, known), user.get("name")
    if name is None or domain_id is None:
        return None
    row = db.run(lambda tx: tx.execute(select(User.id, User.external_id).where(User.domain_id == domain_id, User.name == name)).first())
    if row is not None and row.external_id is None:
        return None
    return Target(domain_id, name, row.external_id, row.id) if row is not None else Target(domain_id, name)


def _named(db: Database, domain: Mapping[str, Any], known: Mapping[str, str]) -> str | None:
    """The id of the directory's domain that `{"id"}` or `{"name"}` names; another one's name in other letters is looked up."""
    if "id" in domain:
        return domain["id"] if domain["id"] in known else None
    name, ids = domain.get("name") or "", {each: id for id, each in known.items()}
    if name in ids or name.lower() not in map(str.lower, ids):
        return ids.get(name)
    row = db.first(DOMAIN, {"name": name})
    return row["id"] if row is not None and row["id"] in known else None


def target_of(db: Database, user_id: str, known: Mapping[str, str]) -> Target | None:
    """Who must judge a log-in by id; None where it is not a directory's."""
    if len(user_id) != 64:
        return None
    row = db.run(lambda tx: tx.execute(select(User.domain_id, User.external_id).where(User.id == user_id)).first())
    if row is None:
        return Target("")
    return Target(row.domain_id, external_id=row.external_id, user_id=user_id) if row.external_id and row.domain_id in known else None


def log_in(db: Database, address: str, user: Mapping[str, Any]) -> Verified | None:
    """Who logs in with `{"id" or "name" and "domain", "password"}`, where a directory must judge it; None: the password is one of ours.

    Raises Unauthorized, ServiceUnavailable, TooManyRequests.
    """
    target = of_login(db, user)
    if target is None:
        return None
    found = verify(db, address, target, user["password"])
    if found is None:
        raise Unauthorized
    return found


def verify(db: Database, address: str, target: Target, password: str) -> Verified | None:
    """The user, if the directory takes the password: then row and memberships are as the directory has them. None for a wrong password and for nobody.

    address: the client's. Raises ServiceUnavailable, for all alike, while the directory does not answer, and TooManyRequests.
    """
    source = (address, target.user_id or target.name or "")

    def late(found: Verified | None, started: float) -> None:
        # A refusal comes on a whole multiple since its turn, so that no one sees whether there was a password to compare, or a directory to ask.
        if found is None:
            spent = boottime() - started
            time.sleep(REFUSAL_SECONDS - spent % REFUSAL_SECONDS)

    if not target.domain_id:
        return _of(db).gate("").pool.run(source, lambda: late(None, boottime()))
    return ask(db, source, target.domain_id, lambda directory: _judged(db, directory, target, password), then=late)


def _judged(db: Database, directory: Directory, target: Target, password: str) -> Verified | None:
    try:
        user, gone = _sought(directory, target)
    except Ambiguous as error:  # not gone, and not to be told apart: nothing changes, and nobody is let in
        LOG.warning("directory of domain %s: %s", target.domain_id, error)
        directory.accepts(None, password)
        return None
    if not directory.accepts(user, password) or user is None:
        if gone:
            db.run(lambda tx: shadow.disable_unseen(tx, target.domain_id, (), id=target.user_id))
        return None
    return record(db, target.domain_id, user, directory.groups_of(user))


def _sought(directory: Directory, target: Target) -> tuple[UserEntry | None, bool]:
    """The user, and whether the row that the log-in named is of nobody any more. Raises Ambiguous."""
    by_id = directory.user(target.external_id) if target.name is None and target.external_id is not None else None
    user = directory.user_named(target.name) if target.name is not None else by_id
    if user is not None and user.doubt == "id":  # a twin of his name is no doubt about who is named by id
        raise Ambiguous(f"{user.dn} has the id of another; neither can log in")
    if user is not None or target.external_id is None:
        return user, False
    return None, target.name is None or directory.user(target.external_id) is None


def ask(
    db: Database, source: Source, domain_id: str, question: Callable[[Directory], T], then: Callable[[T, float], None] = lambda *_: None
) -> T:
    """Ask the domain's directory, in one of its few threads, and do `then` there with the answer and the time when its turn came.

    Raises ServiceUnavailable, TooManyRequests.
    """
    known = _of(db)
    gate = known.gate(domain_id)
    try:
        settings = known.settings(domain_id)
    except ServiceUnavailable as error:  # our own secrets cannot be read: for the operator to know
        LOG.error("directory of domain %s: %s", domain_id, error)
        raise _away(domain_id) from None

    def work() -> T:
        started = boottime()
        if started < gate.away_until:
            raise DirectoryAway(f"{settings.url}: it did not answer a moment ago")
        try:
            with _open()(settings) as connection:
                answer = question(Directory(connection, settings))
        except DirectoryAway:
            if boottime() - started > SLOW_SECONDS:
                gate.away_until = boottime() + AWAY_SECONDS
            raise
        then(answer, started)  # the connection is closed
        return answer

    try:
        return gate.pool.run(source, work)
    except DirectoryAway as error:
        told = str(error).replace(settings.password, "***") if settings.password else str(error)
        LOG.warning("directory of domain %s: %s", domain_id, told)
        raise _away(domain_id) from None


def _away(domain_id: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"The directory of domain {domain_id} does not answer now. Try again later.")


def _open() -> Opener:
    if _opener is not None:
        return _opener
    try:
        from identity.engine.ldap import connect
    except ImportError as error:
        raise DirectoryAway(f"python-ldap is not installed on this node: {error}") from None
    return connect


def user_of(domain_id: str, entry: UserEntry) -> ShadowUser:
    """The row for a directory's user whose id is his."""
    id, name = shadow.public_id(domain_id, "user", entry.external_id), entry.name if not entry.doubt else None
    return ShadowUser(id, entry.external_id, name, entry.enabled, entry.default_project_id, dict(entry.extra))


def group_of(domain_id: str, entry: GroupEntry) -> ShadowGroup:
    """The row for a directory's group whose id is its own."""
    id, name = shadow.public_id(domain_id, "group", entry.external_id), entry.name if not entry.doubt else None
    return ShadowGroup(id, entry.external_id, name, entry.description)


def doubtful(domain_id: str, people: Iterable[UserEntry], teams: Iterable[GroupEntry]) -> list[str]:
    """The ids that several users or several groups have: what we know of them is neither renewed nor gone."""
    users = [shadow.public_id(domain_id, "user", each.external_id) for each in people if each.doubt == "id"]
    return users + [shadow.public_id(domain_id, "group", each.external_id) for each in teams if each.doubt == "id"]


def record(db: Database, domain_id: str, entry: UserEntry, teams: list[GroupEntry]) -> Verified | None:
    """Write what a look saw of one user; None where a user of ours has the name. One query where nothing has changed."""
    user, groups = user_of(domain_id, entry), [group_of(domain_id, team) for team in teams if team.doubt != "id"]
    kept = doubtful(domain_id, (), teams)

    def write(tx: Tx) -> int | None:
        epoch = shadow.same(tx, domain_id, user, groups)
        if epoch is None:
            shadow.put_users(tx, domain_id, [user])
            shadow.put_groups(tx, domain_id, groups)
            shadow.put_members(tx, domain_id, [(user.id, group.id) for group in groups], users=[user.id], kept=kept)
            epoch = tx.scalar(select(User.epoch).where(User.id == user.id))
        return epoch

    epoch = db.run(write)
    return Verified(user.id, epoch) if epoch is not None else None


def must_be_ours(tx: Tx, domain_id: str) -> None:
    """Raise Forbidden where a directory has the domain's users and groups: none is made here."""
    if tx.scalar(IS_ONE, {"id": domain_id}):
        raise Forbidden(f"The users and groups of domain {domain_id} are a directory's: they are read-only here.")


def must_be_changeable(tx: Tx, row: User | Group, values: Mapping[str, Any] | None = None) -> None:
    """The same for a row; what we keep of a directory's user (options, default project) may change. `values` None: it is to be deleted."""
    if row.external_id is not None and not (values is not None and set(values) <= OURS):
        must_be_ours(tx, row.domain_id)


def must_not_be_members(tx: Tx, user_id: str, group_id: str) -> None:
    """Raise Forbidden where the user or the group is a directory's, which alone says who is in what."""
    domain_id = tx.scalar(MEMBERS, {"user_id": user_id, "group_id": group_id})
    if domain_id is not None:
        must_be_ours(tx, domain_id)


def must_keep_password(db: Database, address: str, user_id: str, password: str) -> None:
    """For a directory's user: raise Forbidden to who knows the password, because it is changed there; Unauthorized to others."""
    if log_in(db, address, {"id": user_id, "password": password}) is not None:
        raise Forbidden(f"The password of user {user_id} is a directory's: it is changed there.")
