"""What both sides of a directory share: how it is reached and read, what comes back, filters and names.

Facts: RFC 4510-4519; the meaning of each setting is that of Keystone's `[ldap]` option of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

Scope = Literal["base", "one", "sub"]
# The one attribute of Active Directory that people take ids from and that is no text: 16 bytes, the first three groups little-endian (MS-DTYP 2.3.4.2).
GUID = "objectguid"


class DirectoryAway(Exception):
    """The directory does not answer, or not as one that can be believed; the sentence says why, for the operator's log."""


class Ambiguous(Exception):
    """Several entries answer to one name; the sentence says which directory's, for the operator's log."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The `ldap` group of a domain's configuration. Times are seconds."""

    url: str = "ldap://localhost"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    suffix: str = "cn=example,cn=com"
    query_scope: str = "one"
    page_size: int = 0
    alias_dereferencing: str = "default"
    chase_referrals: bool | None = None
    connection_timeout: int = -1
    randomize_urls: bool = False
    use_tls: bool = False
    tls_cacertfile: str | None = None
    tls_cacertdir: str | None = None
    tls_req_cert: str = "demand"
    user_tree_dn: str | None = None
    user_filter: str | None = None
    user_objectclass: str = "inetOrgPerson"
    user_id_attribute: str = "cn"
    user_name_attribute: str = "sn"
    user_mail_attribute: str = "mail"
    user_description_attribute: str = "description"
    user_enabled_attribute: str = "enabled"
    user_enabled_mask: int = 0
    user_enabled_default: str = "True"
    user_enabled_invert: bool = False
    user_enabled_emulation: bool = False
    user_enabled_emulation_dn: str | None = None
    user_enabled_emulation_use_group_config: bool = False
    user_default_project_id_attribute: str | None = None
    user_additional_attribute_mapping: tuple[str, ...] = ()
    group_tree_dn: str | None = None
    group_filter: str | None = None
    group_objectclass: str = "groupOfNames"
    group_id_attribute: str = "cn"
    group_name_attribute: str = "ou"
    group_desc_attribute: str = "description"
    group_member_attribute: str = "member"
    group_members_are_ids: bool = False
    group_ad_nesting: bool = False
    group_additional_attribute_mapping: tuple[str, ...] = ()

    @property
    def user_base(self) -> str:
        """Where users are looked for."""
        return self.user_tree_dn or f"ou=Users,{self.suffix}"

    @property
    def group_base(self) -> str:
        """Where groups are looked for."""
        return self.group_tree_dn or f"ou=UserGroups,{self.suffix}"

    @property
    def scope(self) -> Scope:
        """How deep."""
        return "sub" if self.query_scope == "sub" else "one"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory holds under one name. The attributes' names are in lower case."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def all(self, name: str) -> list[str]:
        """The values of an attribute; one that is no text that PostgreSQL can keep is left out."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            try:
                text = value.decode()
            except UnicodeDecodeError:
                continue
            if "\x00" not in text:
                found.append(text)
        return found

    def one(self, name: str) -> str | None:
        """Its first value."""
        return next(iter(self.all(name)), None)


class Connection(Protocol):
    """An open and bound connection, used by one thread."""

    def search(self, base: str, scope: Scope, filter: str, attributes: Sequence[str]) -> list[Entry]:
        """All entries that `filter` lets through, or DirectoryAway: never some of them. `base` must be there, but for scope `base`."""
        ...

    def accepts(self, dn: str, password: str) -> bool:
        """Whether the directory lets `dn` in with `password`, over a connection of its own. Raises DirectoryAway."""
        ...


class Opener(Protocol):
    """Opens connections: `with opener(settings) as connection`. Raises DirectoryAway."""

    def __call__(self, settings: Settings) -> AbstractContextManager[Connection]:
        """One connection, bound as the service."""
        ...


def escape(value: str) -> str:
    """`value` as it stands in a filter (RFC 4515, section 3)."""
    return "".join(f"\\{ord(char):02x}" if char in "\\*()\x00" else char for char in value)


def matching(attribute: str, value: str, how: str = "") -> str:
    """The filter for an attribute that is `value`, or (how) contains it, starts or ends with it. Case is the directory's business.

    A GUID is meant by its text, `6f1c…-…`.
    """
    text = _octets(value) if attribute.lower() == GUID else escape(value)
    patterns = {"": text, "contains": f"*{text}*", "startswith": f"{text}*", "endswith": f"*{text}"}
    return f"({attribute}={patterns[how]})"


def _octets(value: str) -> str:
    """A GUID's bytes as they stand in a filter; of what is none, the text: it is nobody's."""
    try:
        return "".join(f"\\{byte:02x}" for byte in UUID(value).bytes_le)
    except ValueError:
        return escape(value)


def both(*filters: str | None) -> str:
    """The filter that all of these let through; None and the empty are left out."""
    given = [each if each.startswith("(") else f"({each})" for each in filters if each]
    return given[0] if len(given) == 1 else f"(&{''.join(given)})"


def either(*filters: str) -> str:
    """The filter that any of these lets through."""
    return filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"


def names_of(dn: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """A DN in a form in which equal ones are equal: its parts, each a sorted tuple of (type, value), without case or escapes (RFC 4514)."""
    return tuple(tuple(sorted(_pair(pair) for pair in _split(part, "+"))) for part in _split(dn, ","))


def _split(text: str, by: str) -> list[str]:
    parts, start, index = [], 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == by:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    return [*parts, text[start:]] if text.strip() else []


def _pair(text: str) -> tuple[str, str]:
    kind, _, value = text.partition("=")
    return kind.strip().lower(), " ".join(unescape(value.strip(" ") if not value.endswith("\\ ") else value.lstrip(" ")).casefold().split())


def unescape(value: str) -> str:
    """What a backslash with a sign or with two hexadecimal digits stands for, in a DN or in a filter."""
    raw, index = bytearray(), 0
    while index < len(value):
        if value[index] != "\\":
            raw += value[index].encode()
            index += 1
            continue
        code = value[index + 1 : index + 3]
        if len(code) == 2 and all(char in "0123456789abcdefABCDEF" for char in code):
            raw.append(int(code, 16))
            index += 3
        else:
            raw += value[index + 1 : index + 2].encode()
            index += 2
    return raw.decode(errors="replace")
