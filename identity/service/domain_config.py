"""The options of one domain: which there are (Keystone's), and how they are kept. A secret one is written encrypted and never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from common.api.shapes import TRUTHS, is_whole_number
from common.config import CONF
from common.db import Tx, lock_name
from common.errors import BadRequest, Forbidden, NotFound
from identity.models import DEFAULT_DOMAIN, DomainConfig, DomainSecret
from identity.service import crypt
from identity.service.project import get_domain

Config = dict[str, dict[str, Any]]
LONGEST = 4096
COMPLIANCE = ("password_regex", "password_regex_description")
REFERENCE = re.compile(r"%\((\w+)\)s")


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
        "debug_level": _number(None, -1), "chase_referrals": _flag(default=None), "connection_timeout": _number(-1, -1),
        "user_tree_dn": _text(), "user_filter": _text(), "user_objectclass": _text("inetOrgPerson"),
        "user_id_attribute": _text("cn"), "user_name_attribute": _text("sn"), "user_mail_attribute": _text("mail"),
        "user_description_attribute": _text("description"), "user_pass_attribute": _text("userPassword"),
        "user_enabled_attribute": _text("enabled"), "user_enabled_invert": _flag(), "user_enabled_mask": _number(0),
        "user_enabled_default": _text("True"), "user_attribute_ignore": _list("default_project_id"),
        "user_default_project_id_attribute": _text(), "user_enabled_emulation": _flag(), "user_enabled_emulation_dn": _text(),
        "user_enabled_emulation_use_group_config": _flag(), "user_additional_attribute_mapping": _list(),
        "group_tree_dn": _text(), "group_filter": _text(), "group_objectclass": _text("groupOfNames"),
        "group_id_attribute": _text("cn"), "group_name_attribute": _text("ou"), "group_members_are_ids": _flag(),
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
        raise _invalid(f"Group {group} is not supported for domain specific configurations")
    if group is not None and option is not None and option not in OPTIONS[group] and option not in SECRET[group]:
        raise _invalid(f"Option {option} in group {group} is not supported for domain specific configurations")


def get_config(tx: Tx, domain_id: str, group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """`{group: {option: value}}`, or `{option: value}` where one is asked for; without what is secret. Raises NotFound, Forbidden."""
    get_domain(tx, domain_id)
    check_path(group, option)
    found = _stored(tx, domain_id, group, option)
    if not found:
        raise _missing(domain_id, group, option)
    return next(iter(found.values())) if option is not None else found


def put_config(tx: Tx, domain_id: str, config: Mapping[str, Any]) -> tuple[Config, bool]:
    """Replace all options. Gives them, and whether there were none before. Raises as `update_config`."""
    _begin(tx, domain_id)
    checked = _checked(config)
    fresh = not _clear(tx, domain_id, None, None)
    _write(tx, domain_id, checked)
    return _stored(tx, domain_id, None, None), fresh


def update_config(tx: Tx, domain_id: str, config: Mapping[str, Any], group: str | None = None, option: str | None = None) -> Config:
    """Set the options that `config` names; with `group` and `option`, only that, and it must be there. Gives all that are set.

    Raises NotFound; Forbidden for what a domain cannot have; BadRequest for a value that cannot be.
    """
    _begin(tx, domain_id)
    check_path(group, option)
    named: Mapping[str, Any] = {group: config} if group is not None and option is not None else config
    checked = _checked(named)
    if group is not None and set(checked) != {group}:
        raise _invalid(f"Trying to update group {group}, so that, and only that, group must be specified in the config")
    if group is not None and option is not None and set(checked[group]) != {option}:
        raise _invalid(f"Trying to update option {option} in group {group}, so that, and only that, option must be specified in the config")
    if group is not None and not _present(tx, domain_id, group, option):
        raise _missing(domain_id, group, option)
    _write(tx, domain_id, checked)
    return _stored(tx, domain_id, None, None)


def delete_config(tx: Tx, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    """Unset all options, those of a group, or one. Raises Forbidden; NotFound where a named one is not set."""
    _begin(tx, domain_id)
    check_path(group, option)
    if not _clear(tx, domain_id, group, option) and group is not None:
        raise _missing(domain_id, group, option)


def defaults(group: str | None = None, option: str | None = None) -> dict[str, Any]:
    """What holds where a domain says nothing; secret options have no default to show. Raises Forbidden."""
    check_path(group, option)
    if group is None:
        return {name: {key: each.default for key, each in options.items()} for name, options in OPTIONS.items()}
    if option is None:
        return {group: {key: each.default for key, each in OPTIONS[group].items()}}
    if option not in OPTIONS[group]:
        raise _invalid(f"Option {option} in group {group} is sensitive, its default cannot be read")
    return {option: OPTIONS[group][option].default}


def read_ldap(tx: Tx, domain_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The options of group `ldap` that are set, and the secret ones, still encrypted. Two queries."""
    rows = tx.execute(select(DomainSecret.option, DomainSecret.value).where(*_where(DomainSecret, domain_id, "ldap", None)))
    return _stored(tx, domain_id, "ldap", None).get("ldap", {}), {row.option: row.value for row in rows}


def substituted(options: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The options with the secret ones among them, and each `%(password)s` in a text replaced."""
    plain = {name: crypt.decrypt(value) for name, value in secrets.items()}

    def filled(value: Any) -> Any:
        return REFERENCE.sub(lambda found: plain.get(found[1], found[0]), value) if isinstance(value, str) else value

    return {**{name: filled(value) for name, value in options.items()}, **plain}


def _begin(tx: Tx, domain_id: str) -> None:
    get_domain(tx, domain_id)
    lock_name(tx, f"identity.domain_config:{domain_id}")


def _checked(config: Mapping[str, Any]) -> Config:
    """The config with each value in its own type."""
    if not config:
        raise _invalid("No options specified")
    found: Config = {}
    for group, options in config.items():
        check_path(group, None)
        if not isinstance(options, dict) or not options:
            raise _invalid(f"The value of group {group} specified in the config should be a dictionary of options")
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


def _write(tx: Tx, domain_id: str, config: Config) -> None:
    for group, options in config.items():
        for option, value in options.items():
            secret = option in SECRET[group]
            model: Any = DomainSecret if secret else DomainConfig
            row = {"domain_id": domain_id, "group": group, "option": option, "value": crypt.encrypt(value or "") if secret else value}
            made = insert(model).values(**row)
            tx.execute(made.on_conflict_do_update(index_elements=["domain_id", "group", "option"], set_={"value": made.excluded.value}))


def _where(model: Any, domain_id: str, group: str | None, option: str | None) -> list[Any]:
    narrower = [(model.group, group), (model.option, option)]
    # Secrets of other groups in the same table are not the domain's options.
    return [model.domain_id == domain_id, model.group.in_(OPTIONS), *(column == value for column, value in narrower if value is not None)]


def _clear(tx: Tx, domain_id: str, group: str | None, option: str | None) -> bool:
    """Whether there was anything."""
    models: tuple[Any, ...] = (DomainConfig, DomainSecret)
    gone = [tx.scalars(delete(each).where(*_where(each, domain_id, group, option)).returning(each.option)).all() for each in models]
    return any(gone)


def _present(tx: Tx, domain_id: str, group: str, option: str | None) -> bool:
    models: tuple[Any, ...] = (DomainConfig, DomainSecret)
    return any(tx.scalar(select(each.option).where(*_where(each, domain_id, group, option)).limit(1)) for each in models)


def _stored(tx: Tx, domain_id: str, group: str | None, option: str | None) -> Config:
    found: Config = {}
    rows = select(DomainConfig.group, DomainConfig.option, DomainConfig.value).where(*_where(DomainConfig, domain_id, group, option))
    for its_group, its_option, value in tx.execute(rows.order_by(DomainConfig.group, DomainConfig.option)):
        found.setdefault(its_group, {})[its_option] = value
    return found


def _invalid(reason: str) -> Forbidden:
    """In Keystone's words."""
    return Forbidden(f"Invalid domain specific configuration: {reason}.")


def _missing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    what = f"option {option} in group {group}" if option is not None else f"group {group}" if group is not None else "any options"
    return NotFound(f"Could not find {what} in domain configuration for domain {domain_id}.")


def compliance(tx: Tx, domain_id: str, option: str | None = None) -> dict[str, Any]:
    """What a password must look like, as a group of the default domain's options. Raises NotFound, Forbidden."""
    get_domain(tx, domain_id)
    if domain_id != DEFAULT_DOMAIN:
        raise _invalid("Reading security compliance information for any domain other than the default domain is not allowed or supported")
    found = {name: CONF.identity[name] for name in COMPLIANCE}
    if option is not None and option not in found:
        raise _invalid(f"Reading security compliance values other than {' and '.join(COMPLIANCE)} is not allowed")
    return {"security_compliance": found} if option is None else {option: found[option]}
