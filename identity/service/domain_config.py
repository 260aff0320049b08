"""How the options of a domain are kept. A secret one is written encrypted and never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from common.config import CONF
from common.db import Tx, lock_name
from common.errors import NotFound
from identity.models import DEFAULT_DOMAIN, DomainConfig, DomainSecret
from identity.service import crypt
from identity.service.domain_option import OPTIONS, SECRET, Config, check_path, checked, invalid
from identity.service.project import get_domain

COMPLIANCE = ("password_regex", "password_regex_description")
REFERENCE = re.compile(r"%\((\w+)\)s")


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
    given = checked(config)
    fresh = not _clear(tx, domain_id, None, None)
    _write(tx, domain_id, given)
    return _stored(tx, domain_id, None, None), fresh


def update_config(tx: Tx, domain_id: str, config: Mapping[str, Any], group: str | None = None, option: str | None = None) -> Config:
    """Set the options that `config` names; with `group` and `option`, only that, and it must be there. Gives all that are set.

    Raises NotFound; Forbidden for what a domain cannot have; BadRequest for a value that cannot be.
    """
    _begin(tx, domain_id)
    check_path(group, option)
    named: Mapping[str, Any] = {group: config} if group is not None and option is not None else config
    given = checked(named)
    if group is not None and set(given) != {group}:
        raise invalid(f"Trying to update group {group}, so that, and only that, group must be specified in the config")
    if group is not None and option is not None and set(given[group]) != {option}:
        raise invalid(f"Trying to update option {option} in group {group}, so that, and only that, option must be specified in the config")
    if group is not None and not _present(tx, domain_id, group, option):
        raise _missing(domain_id, group, option)
    _write(tx, domain_id, given)
    return _stored(tx, domain_id, None, None)


def delete_config(tx: Tx, domain_id: str, group: str | None = None, option: str | None = None) -> None:
    """Unset all options, those of a group, or one. Raises Forbidden; NotFound where a named one is not set."""
    _begin(tx, domain_id)
    check_path(group, option)
    if not _clear(tx, domain_id, group, option) and group is not None:
        raise _missing(domain_id, group, option)


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


def _missing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    what = f"option {option} in group {group}" if option is not None else f"group {group}" if group is not None else "any options"
    return NotFound(f"Could not find {what} in domain configuration for domain {domain_id}.")


def compliance(tx: Tx, domain_id: str, option: str | None = None) -> dict[str, Any]:
    """What a password must look like, as a group of the default domain's options. Raises NotFound, Forbidden."""
    get_domain(tx, domain_id)
    if domain_id != DEFAULT_DOMAIN:
        raise invalid("Reading security compliance information for any domain other than the default domain is not allowed or supported")
    found = {name: CONF.identity[name] for name in COMPLIANCE}
    if option is not None and option not in found:
        raise invalid(f"Reading security compliance values other than {' and '.join(COMPLIANCE)} is not allowed")
    return {"security_compliance": found} if option is None else {option: found[option]}
