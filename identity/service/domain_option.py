"""The options that a domain may have (Keystone's), and what each may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.api.shapes import TRUTHS, is_whole_number
from common.errors import BadRequest, Forbidden

Config = dict[str, dict[str, Any]]
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Option:
    """kind: str, int, bool or list. choices: the values that a text may have. A default of None means that null is a value."""

    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int = 0


def _text(default: str | None = None, *choices: str) -> Option:
    return Option("str", default, choices)


def _flag(*, default: bool | None = False) -> Option:
    return Option("bool", default)


def _number(default: int | None, least: int = 0) -> Option:
    return Option("int", default, (), least)


def _list(*default: str) -> Option:
    return Option("list", list(default))


OPTIONS: dict[str, dict[str, Option]] = {
    "identity": {"driver": _text("sql"), "list_limit": _number(None)},
    "ldap": {
        "url": _text("ldap://localhost"), "user": _text(), "suffix": _text("cn=example,cn=com"),
        "query_scope": _text("one", "one", "sub"), "page_size": _number(0),
        "alias_dereferencing": _text("default", "never", "searching", "always", "finding", "default"),
        "debug_level": _number(None, -1), "chase_referrals": _flag(default=None), "connection_timeout": _number(-1, -1), "randomize_urls": _flag(),
        "user_tree_dn": _text(), "user_filter": _text(), "user_objectclass": _text("inetOrgPerson"),
        "user_id_attribute": _text("cn"), "user_name_attribute": _text("sn"), "user_mail_attribute": _text("mail"),
        "user_description_attribute": _text("description"), "user_pass_attribute": _text("userPassword"),
        "user_enabled_attribute": _text("enabled"), "user_enabled_invert": _flag(), "user_enabled_mask": _number(0),
        "user_enabled_default": _text("True"), "user_attribute_ignore": _list("default_project_id"),
        "user_default_project_id_attribute": _text(), "user_enabled_emulation": _flag(), "user_enabled_emulation_dn": _text(),
        "user_enabled_emulation_use_group_config": _flag(), "user_additional_attribute_mapping": _list(),
        "group_tree_dn": _text(), "group_filter": _text(), "group_objectclass": _text("groupOfNames"),
        "group_id_attribute": _text("cn"), "group_name_attribute": _text("ou"), "group_members_are_ids": _flag(), "group_ad_nesting": _flag(),
        "group_member_attribute": _text("member"), "group_desc_attribute": _text("description"), "group_attribute_ignore": _list(),
        "group_additional_attribute_mapping": _list(), "tls_cacertfile": _text(), "tls_cacertdir": _text(), "use_tls": _flag(),
        "tls_req_cert": _text("demand", "demand", "never", "allow"), "use_pool": _flag(default=True), "pool_size": _number(10, 1),
        "pool_retry_max": _number(3, 1), "pool_retry_delay": Option("float", 0.1), "pool_connection_timeout": _number(-1, -1),
        "pool_connection_lifetime": _number(600, 1), "use_auth_pool": _flag(default=True), "auth_pool_size": _number(100, 1),
        "auth_pool_connection_lifetime": _number(60, 1),
    },
}  # fmt: skip
SECRET: dict[str, dict[str, Option]] = {"identity": {}, "ldap": {"password": _text()}}
# What a directory is searched and read by; none of it may be empty.
NAMES = re.compile(r"(user|group)_(objectclass|\w+_attribute)")
# Clients keep here what other clouds know: a driver that is not `ldap` is SQL, and a URL that leads nowhere is a directory that does not answer.
NOT_EMPTY = ("driver", "url")
ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;-]*")


def check_path(group: str | None, option: str | None) -> None:
    """Raise Forbidden, as Keystone does, for a group or an option that a domain cannot have."""
    if group is not None and group not in OPTIONS:
        raise invalid(f"Group {group} is not supported for domain specific configurations")
    if group is not None and option is not None and option not in OPTIONS[group] and option not in SECRET[group]:
        raise invalid(f"Option {option} in group {group} is not supported for domain specific configurations")


def defaults(group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """What holds where a domain says nothing; secret options have no default to show. Raises Forbidden."""
    check_path(group, option)
    if group is None:
        return {name: {key: each.default for key, each in options.items()} for name, options in OPTIONS.items()}
    if option is None:
        return {group: {key: each.default for key, each in OPTIONS[group].items()}}
    if option not in OPTIONS[group]:
        raise invalid(f"Option {option} in group {group} is sensitive, its default cannot be read")
    return {option: OPTIONS[group][option].default}


def checked(config: Mapping[str, Any]) -> Config:
    """The config with each value in its own type.

    Raises Forbidden for what a domain cannot have, BadRequest for a value that cannot be.
    """
    if not config:
        raise invalid("No options specified")
    found: Config = {}
    for group, options in config.items():
        check_path(group, None)
        if not isinstance(options, dict) or not options:
            raise invalid(f"The value of group {group} specified in the config should be a dictionary of options")
        for option, value in options.items():
            check_path(group, option)
            found.setdefault(group, {})[option] = _value(group, option, value)
    return found


def _value(group: str, name: str, value: Any) -> Any:
    option = OPTIONS[group].get(name) or SECRET[group][name]
    if value is None and option.default is None:
        return None
    made, why = CONVERT[option.kind](value)
    why = why or _objection(name, option, made)
    if why is not None:
        shown = "***" if name in SECRET[group] else repr(value)[:200]
        raise BadRequest(f"Invalid input for field/attribute config.{group}.{name}. Value: {shown}. It {why}.")
    return made


def _objection(name: str, option: Option, value: Any) -> str | None:
    """What is wrong with a value of the right type."""
    if option.choices and value not in option.choices:
        return f"must be one of {', '.join(option.choices)}"
    if option.kind == "int" and not option.least <= value < 1 << 31:
        return f"must be between {option.least} and {(1 << 31) - 1}"
    if name in NOT_EMPTY and not value:
        return "must not be empty"
    if option.kind == "str" and NAMES.fullmatch(name) and not ATTRIBUTE.fullmatch(value):
        return "must be the name of an attribute or an object class"
    return None


def _as_text(value: Any) -> tuple[Any, str | None]:
    good = isinstance(value, str) and len(value) <= LONGEST
    return value, None if good else f"must be a text of {LONGEST} characters at the most"


def _as_number(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, str) and is_whole_number(value):
        value = int(value)
    return value, None if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"


def _as_fraction(value: Any) -> tuple[Any, str | None]:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return value, None if good else "must be a number that is not negative"


def _as_flag(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, str):
        value = TRUTHS.get(value.lower(), value)
    return value, None if isinstance(value, bool) else "must be a boolean"


def _as_list(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    good = isinstance(value, list) and len(value) <= 100 and all(isinstance(each, str) and len(each) <= 255 for each in value)
    return value, None if good else "must be a list of up to 100 texts of up to 255 characters"


CONVERT = {"str": _as_text, "int": _as_number, "float": _as_fraction, "bool": _as_flag, "list": _as_list}


def invalid(reason: str) -> Forbidden:
    """In Keystone's words."""
    return Forbidden(f"Invalid domain specific configuration: {reason}.")
