"""Users and groups as a directory has them: which searches ask for them, and how an entry is read."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar

from identity.engine.ldap_types import Ambiguous, Connection, DirectoryAway, Entry, Settings, both, either, escape, matching, names_of

LOG = logging.getLogger(__name__)
LONGEST = 255
# Twins of so many entries are asked for at once, in so many portions at the most; of more they are looked for among all. So many are named in the log.
MANY, PORTIONS, TOLD = 50, 10, 20
# The rule by which Active Directory follows members of members (LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS 3.1.1.3.4.4.3), and the capabilities that say that
# it is one (3.1.1.3.4.3): to others the rule is unknown, and nobody a member.
IN_CHAIN = "1.2.840.113556.1.4.1941"
CAPABLE = {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1851"}
TRUE = ("true", "1", "yes", "on", "t", "y")
# What an additional attribute must not shadow.
OWN = frozenset({
    "id", "name", "domain_id", "enabled", "options", "links", "password", "password_expires_at", "default_project_id", "description", "email",
})  # fmt: skip
T = TypeVar("T", bound="UserEntry | GroupEntry")
# What another entry has too, so that it says of neither who it is. Of an entry with another's id nothing else is to be believed.
Doubt = Literal["", "name", "id"]


@dataclass(frozen=True, slots=True)
class UserEntry:
    """A user. `external_id` is the value of the id attribute; `extra` email, description and what the settings map."""

    dn: str
    external_id: str
    name: str
    enabled: bool
    default_project_id: str | None
    extra: Mapping[str, str] = field(hash=False)
    doubt: Doubt = ""


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A group. `members` are DNs, or (group_members_are_ids) users' ids; empty where they were not asked for."""

    dn: str
    external_id: str
    name: str
    description: str
    members: tuple[str, ...]
    doubt: Doubt = ""


class Directory:
    """The users and groups behind one connection. Every method raises DirectoryAway.

    Each entry is compared with all that could have its name or its id, whichever search found it: lists and single looks agree on who is doubtful.
    A user's id that several entries have, none of them enabled, is not there: whoever of them it means has ended.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection, self._settings = connection, settings
        self._enabled: frozenset[object] | None = None
        self._capable: bool | None = None

    def users(self, name: str | None = None, how: str = "") -> list[UserEntry]:
        """All users, or those whose name is like this; the doubtful among them, each id once."""
        narrower = matching(self._settings.user_name_attribute, name, how) if name is not None else None
        return self._compared_users(self._users(narrower), whole=narrower is None)

    def user(self, external_id: str) -> UserEntry | None:
        """The user with this id, or with a doubt one of them."""
        found = self._compared_users(self._users(matching(self._settings.user_id_attribute, external_id)))
        return next((each for each in found if each.external_id == external_id), None)

    def user_named(self, name: str) -> UserEntry | None:
        """The one user with this name; the directory decides whether case matters. Raises Ambiguous where two could be meant."""
        answers = self._users(matching(self._settings.user_name_attribute, name))
        found = list({names_of(each.dn): each for each in answers}.values())
        exact = [each for each in found if each.name == name] or found
        if len(exact) > 1:
            raise Ambiguous(f"{self._settings.url}: {len(exact)} users answer to one name; none of them can log in by it")
        user = next(iter(self._compared_users(exact)), None)
        if user is not None and user.doubt:
            raise Ambiguous(f"{self._settings.url}: {user.dn} shares its {user.doubt} with another; neither can log in by name")
        return user

    def accepts(self, user: UserEntry | None, password: str) -> bool:
        """Whether the password is the user's; for no user the directory is asked as well, about one that it cannot have."""
        dn = user.dn if user is not None else f"cn=nobody-{secrets.token_hex(8)},{self._settings.user_base}"
        return bool(password) and self._connection.accepts(dn, password) and user is not None

    def groups(self, name: str | None = None, how: str = "") -> list[GroupEntry]:
        """All groups, or those whose name is like this; the doubtful among them, each id once."""
        narrower = matching(self._settings.group_name_attribute, name, how) if name is not None else None
        return self._compared_groups(self._groups(narrower), whole=narrower is None)

    def group(self, external_id: str) -> GroupEntry | None:
        """The group with this id, or with a doubt one of them."""
        found = self._compared_groups(self._groups(matching(self._settings.group_id_attribute, external_id)))
        return next((each for each in found if each.external_id == external_id), None)

    def groups_of(self, user: UserEntry) -> list[GroupEntry]:
        """The groups that name the user as a member, without their members; the doubtful among them."""
        s = self._settings
        attribute = f"member:{IN_CHAIN}:" if self.nested() else s.group_member_attribute
        narrower = matching(attribute, user.external_id if s.group_members_are_ids else user.dn)
        return self._compared_groups(self._groups(narrower, members=False))

    def members(self, groups: Iterable[GroupEntry], users: Iterable[UserEntry]) -> list[tuple[UserEntry, GroupEntry]]:
        """Who of `users` is in which of `groups`; nothing of those whose id is doubtful."""
        if self.nested():
            return self.members_in_chain(groups, users)
        ids = self._settings.group_members_are_ids
        known: dict[object, UserEntry] = {user.external_id if ids else names_of(user.dn): user for user in _with_an_id(users)}
        pairs = ((known.get(member if ids else names_of(member)), group) for group in _with_an_id(groups) for member in group.members)
        return list(dict.fromkeys((user, group) for user, group in pairs if user is not None))

    def nested(self) -> bool:
        """Whether members of a group's groups are its members."""
        if not self._settings.group_ad_nesting or self._settings.group_members_are_ids:
            return False
        if self._capable is None:
            found = self._connection.search("", "base", "(objectClass=*)", ["supportedCapabilities"])
            self._capable = any(CAPABLE & set(entry.all("supportedCapabilities")) for entry in found)
        if not self._capable:
            raise DirectoryAway(f"{self._settings.url}: group_ad_nesting is set, and this is no Active Directory")
        return True

    def members_in_chain(self, groups: Iterable[GroupEntry], users: Iterable[UserEntry]) -> list[tuple[UserEntry, GroupEntry]]:
        """Who of `users` is in which of `groups`, by groups in between as well, also those that the settings leave out: a search for each group."""
        known = {user.external_id: user for user in _with_an_id(users)}
        found = ((known.get(id), group) for group in _with_an_id(groups) for id in self._ids_in_chain(group))
        return list(dict.fromkeys((user, group) for user, group in found if user is not None))

    def _ids_in_chain(self, group: GroupEntry) -> list[str]:
        s = self._settings
        found = self._connection.search(
            s.user_base, s.scope, self._user_filter(matching(f"memberOf:{IN_CHAIN}:", group.dn)), [s.user_id_attribute]
        )
        if not found and not self._connection.search(group.dn, "base", "(objectClass=*)", [s.group_id_attribute]):
            raise DirectoryAway(f"{s.url}: {group.dn} has gone, or has another name by now")
        return [id for entry in found if (id := _id(entry, s.user_id_attribute)) is not None]

    def _compared_users(self, found: Sequence[UserEntry], *, whole: bool = False) -> list[UserEntry]:
        s = self._settings
        alike = found if whole else self._alike(found, self._users, s.user_id_attribute, s.user_name_attribute)
        enabled = {each.external_id for each in (*found, *alike) if each.enabled}
        return [each for each in compared(found, alike) if each.doubt != "id" or each.external_id in enabled]

    def _compared_groups(self, found: Sequence[GroupEntry], *, whole: bool = False) -> list[GroupEntry]:
        s = self._settings
        alike = found if whole else self._alike(found, partial(self._groups, members=False), s.group_id_attribute, s.group_name_attribute)
        return compared(found, alike)

    @staticmethod
    def _alike(found: Sequence[T], search: Callable[[str | None], list[T]], id: str, name: str) -> list[T]:
        """All entries that could have an id or a name of those found: a search by another value, or by a member, shows not all of them."""
        if not found:
            return []
        if len(found) > MANY * PORTIONS:
            return search(None)
        portions = (found[start : start + MANY] for start in range(0, len(found), MANY))
        wanted = ({matching(*pair) for each in portion for pair in ((id, each.external_id), (name, each.name))} for portion in portions)
        return [each for values in wanted for each in search(either(*sorted(values)))]

    def _users(self, narrower: str | None) -> list[UserEntry]:
        s = self._settings
        attributes = [
            s.user_id_attribute, s.user_name_attribute, s.user_mail_attribute, s.user_description_attribute, s.user_enabled_attribute,
            *([s.user_default_project_id_attribute] if s.user_default_project_id_attribute else []),
            *dict(_pairs(s.user_additional_attribute_mapping)),
        ]  # fmt: skip
        found = self._connection.search(s.user_base, s.scope, self._user_filter(narrower), attributes)
        return [user for entry in found if (user := self._read(entry, self._user)) is not None]

    def _user_filter(self, narrower: str | None) -> str:
        s = self._settings
        return both(f"(objectClass={escape(s.user_objectclass)})", s.user_filter, f"({s.user_name_attribute}=*)", narrower)

    def _groups(self, narrower: str | None, *, members: bool = True) -> list[GroupEntry]:
        s = self._settings
        kind = f"(objectClass={escape(s.group_objectclass)})"
        attributes = [s.group_id_attribute, s.group_name_attribute, s.group_desc_attribute]
        attributes += [s.group_member_attribute] if members and not self.nested() else []
        filter = both(kind, s.group_filter, f"({s.group_name_attribute}=*)", narrower)
        found = self._connection.search(s.group_base, s.scope, filter, attributes)
        return [group for entry in found if (group := self._read(entry, self._group)) is not None]

    def _read(self, entry: Entry, read: Callable[[Entry], T | None]) -> T | None:
        found = read(entry)
        if found is None or not 0 < len(found.external_id) <= LONGEST or not 0 < len(found.name.strip()) <= LONGEST or not found.dn:
            LOG.warning(
                "%s: an entry is left out: its id or name is missing, is no text, or has more than %d characters", entry.dn, LONGEST
            )
            return None
        return found

    def _user(self, entry: Entry) -> UserEntry | None:
        s = self._settings
        external_id, name = _id(entry, s.user_id_attribute), entry.one(s.user_name_attribute)
        if external_id is None or name is None:
            return None
        wanted = (("email", s.user_mail_attribute), ("description", s.user_description_attribute))
        mapped = [(key, attribute) for attribute, key in _pairs(s.user_additional_attribute_mapping) if key not in OWN]
        extra = {key: value for key, attribute in (*wanted, *mapped) if (value := entry.one(attribute)) is not None}
        project = entry.one(s.user_default_project_id_attribute) if s.user_default_project_id_attribute else None
        return UserEntry(entry.dn, external_id, name, self._is_enabled(entry), project[:64] if project else None, extra)

    def _group(self, entry: Entry) -> GroupEntry | None:
        s = self._settings
        external_id, name = _id(entry, s.group_id_attribute), entry.one(s.group_name_attribute)
        if external_id is None or name is None:
            return None
        return GroupEntry(entry.dn, external_id, name, entry.one(s.group_desc_attribute) or "", tuple(entry.all(s.group_member_attribute)))

    def _is_enabled(self, entry: Entry) -> bool:
        """Whether the user may log in, by whichever way the settings choose; a value that cannot be read says no."""
        s = self._settings
        if s.user_enabled_emulation:
            return names_of(entry.dn) in self._emulated()
        value = entry.one(s.user_enabled_attribute) or s.user_enabled_default
        if s.user_enabled_mask:
            try:
                return int(value) & s.user_enabled_mask != s.user_enabled_mask
            except ValueError:
                return False
        return (value.lower() in TRUE) != s.user_enabled_invert

    def _emulated(self) -> frozenset[object]:
        """The members of the group that holds all enabled users; asked once a connection."""
        if self._enabled is None:
            s = self._settings
            dn = s.user_enabled_emulation_dn or f"cn=enabled_users,{s.user_base}"
            own = s.user_enabled_emulation_use_group_config
            attribute, kind = (s.group_member_attribute, s.group_objectclass) if own else ("member", "groupOfNames")
            found = self._connection.search(dn, "base", f"(objectClass={escape(kind)})", [attribute])
            self._enabled = frozenset(names_of(member) for entry in found for member in entry.all(attribute))
        return self._enabled


def _id(entry: Entry, attribute: str) -> str | None:
    """The id; where the attribute has several values, the one that the entry's own name bears (as in Keystone), else none."""
    values = entry.all(attribute)
    if len(values) <= 1:
        return next(iter(values), None)
    own = {value for kind, value in (names_of(entry.dn) or ((),))[0] if kind == attribute.lower()}
    return next((value for value in values if " ".join(value.casefold().split()) in own), None)


def _pairs(mapping: Iterable[str]) -> list[tuple[str, str]]:
    """`attribute:key` as pairs."""
    parts = (each.partition(":") for each in mapping)
    return [(attribute.strip(), key.strip()) for attribute, _, key in parts if attribute.strip() and key.strip()]


def _with_an_id(entries: Iterable[T]) -> Iterable[T]:
    return (each for each in entries if each.doubt != "id")


def compared(found: Iterable[T], alike: Iterable[T]) -> list[T]:
    """Each id of `found` once, with its doubt: whether another entry, of these or of `alike`, has the same id or name. One DN is one entry."""
    entries = [*found, *alike]
    ids, names = _shared((each.external_id, each.dn) for each in entries), _shared((each.name, each.dn) for each in entries)
    _warn({each.dn for each in entries if each.external_id in ids or each.name in names})
    kept = {each.external_id: each for each in found}.values()
    return [replace(each, doubt="id" if each.external_id in ids else "name" if each.name in names else "") for each in kept]


def _warn(doubted: Collection[str]) -> None:
    if doubted:
        told = [*sorted(doubted)[:TOLD], *(["…"] if len(doubted) > TOLD else [])]
        LOG.warning("%d entries share an id or a name with another, which is nobody's now: %s", len(doubted), "; ".join(told))


def _shared(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """The values, of (value, DN), that stand under several DNs."""
    under: dict[str, set[str]] = defaultdict(set)
    for value, dn in pairs:
        under[value].add(dn)
    return {value for value, dns in under.items() if len(dns) > 1 and len({names_of(dn) for dn in dns}) > 1}
