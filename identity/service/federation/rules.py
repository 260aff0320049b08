"""The mapping engine: what a provider says of somebody becomes a local user, groups and projects. Pure: no SQL, no HTTP.

Keystone's rule language 1.0 and 2.0 (its manual, "Mapping Combinations"); `shapes.RULES` of the API is its grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

from common.errors import BadRequest, Unauthorized
from identity.service.federation import templates
from identity.service.federation.conditions import Budget, applies, check_condition, is_test

UNMAPPED = "Could not map any federated user properties to identity values."
NOBODY = "Could not map the user: neither the mapping's rules nor REMOTE_USER give an id or a name."
HONORS_DOMAIN = "2.0"
REMOTE_USER = "REMOTE_USER"
Rule = Mapping[str, Any]
Local = Mapping[str, Any]
Assertion = Mapping[str, Sequence[str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DomainRef:
    """A domain by id, or by name."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class MappedUser:
    """type: `ephemeral`, a user of the provider's; or `local`, one who exists here. `unique_id`: the provider's name for the former."""

    type: str
    id: str | None = None
    name: str | None = None
    email: str | None = None
    domain: DomainRef | None = None

    @property
    def unique_id(self) -> str:
        """As Keystone keeps it: safe in a URL."""
        return quote(self.id or self.name or "")


@dataclass(frozen=True, slots=True)
class MappedGroup:
    """A group by name."""

    name: str
    domain: DomainRef


@dataclass(frozen=True, slots=True)
class MappedProject:
    """A project that is made where it is missing, and the roles that the user gets on it. Without a domain: in the provider's."""

    name: str
    roles: tuple[str, ...]
    domain: DomainRef | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """What all rules that apply come to: the first user, every group, the last list of projects."""

    user: MappedUser
    group_ids: tuple[str, ...] = ()
    groups: tuple[MappedGroup, ...] = ()
    projects: tuple[MappedProject, ...] = ()


def evaluate(rules: Iterable[Rule], assertion: Assertion, schema_version: str = "1.0") -> Mapped:
    """What `rules`, of a shape that holds, make of an assertion: all values of each attribute by its name.

    Raises Unauthorized where no rule applies or no user comes out; BadRequest for a rule that cannot be carried out on these values.
    """
    found = _filled(rules, assertion)
    if not found:
        raise Unauthorized(UNMAPPED)
    honors = schema_version == HONORS_DOMAIN
    return Mapped(
        _user(found, assertion, honors=honors), _every(_group_ids, found), _every(_groups, found), _projects(found, honors=honors)
    )


def _filled(rules: Iterable[Rule], assertion: Assertion) -> list[dict[str, Any]]:
    """The local halves of the rules that apply, with the values in their places."""
    budget = Budget()
    found: list[dict[str, Any]] = []
    for rule in rules:
        slots = applies(rule["remote"], assertion, budget)
        if slots is not None:
            found += [templates.fill(local, slots) for local in rule["local"]]
    return found


def check(rules: Iterable[Rule]) -> None:
    """Raise BadRequest for rules whose shape holds and which could never be carried out: a bad regular expression, a value that no rule has."""
    for number, rule in enumerate(rules):
        for condition in rule["remote"]:
            check_condition(condition, f"rules.{number}.remote")
        slots = sum(not is_test(condition) for condition in rule["remote"])
        used = [index for local in rule["local"] for index in templates.used(local)]
        if slots and used and max(used) >= slots:
            raise BadRequest(
                f"Invalid input for field/attribute rules.{number}.local: {{{max(used)}}} is beyond the {slots} values of remote."
            )


def _user(found: Iterable[Local], assertion: Assertion, *, honors: bool) -> MappedUser:
    """The first user that the rules name. Version 1.0 knows no domain of one who is not local: he is in the provider's."""
    local = next((each for each in found if each.get("user")), {})
    given = local.get("user", {})
    domain = _domain(given.get("domain"))
    user = MappedUser(given.get("type", "ephemeral"), given.get("id"), given.get("name"), given.get("email"), domain)
    if honors and user.domain is None:
        user = replace(user, domain=_domain(local.get("domain")))
    if user.type == "local":
        return user
    name = user.name or next(iter(assertion.get(REMOTE_USER, ())), None) or user.id
    if not name:
        raise Unauthorized(NOBODY)
    return replace(user, name=name, domain=user.domain if honors else None)


def _domain(given: Any) -> DomainRef | None:
    """None where it names no domain; of an id and a name the id counts."""
    if not isinstance(given, Mapping):
        return None
    for part in ("id", "name"):
        if isinstance(given.get(part), str) and given[part]:
            return DomainRef(**{part: given[part]})
    return None


def _every(part: Callable[[Local], list[T]], found: Iterable[Local]) -> tuple[T, ...]:
    """The part of all, without doubles."""
    return tuple(dict.fromkeys(value for local in found for value in part(local)))


def _group_ids(local: Local) -> list[str]:
    one = local.get("group", {}).get("id")
    return [*([one] if one else []), *local.get("group_ids", [])]


def _groups(local: Local) -> list[MappedGroup]:
    found = [_named_group(name, local) for name in local.get("groups", [])]
    group = local.get("group", {})
    if "name" in group:
        found.append(_group(group["name"], group["domain"]))
    return found


def _named_group(value: str, local: Local) -> MappedGroup:
    """A value of `groups`: a name in the domain beside it, or `JSON:` and an object that has both."""
    given = templates.json_object(value)
    if given is not None:
        return _group(given.get("name"), given.get("domain"))
    return _group(value, local.get("domain"))


def _group(name: Any, given: Any) -> MappedGroup:
    domain = _domain(given)
    if not isinstance(name, str) or domain is None:
        raise BadRequest(f"Invalid rule: the group {name!r} needs a name and a domain, by id or name.")
    return MappedGroup(name, domain)


def _projects(found: Iterable[Local], *, honors: bool) -> tuple[MappedProject, ...]:
    """The last list that the rules give."""
    last: Local = next((local for local in reversed(list(found)) if "projects" in local), {"projects": []})
    usual = _domain(last.get("domain"))
    return tuple(
        MappedProject(
            project["name"], tuple(role["name"] for role in project["roles"]), (_domain(project.get("domain")) or usual) if honors else None
        )
        for project in last["projects"]
    )
