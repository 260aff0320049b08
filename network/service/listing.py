"""Lists: what can be filtered and sorted by, per noun, and what is loaded with the rows so that queries do not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, select
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from common.api.paging import Page
from common.api.shapes import TRUTHS
from common.auth import Actor
from common.db import Tx
from network.models import (
    FixedIp,
    FloatingIp,
    Network,
    Owned,
    Port,
    PortSecurityGroup,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from network.service import errors
from network.service.visible import get, statement

Filter = Callable[[str, Sequence[str]], ColumnElement[bool]]


def _is(column: Any) -> Filter:
    return lambda _name, values: column.in_(values)


def _truth(column: Any) -> Filter:
    def check(name: str, values: Sequence[str]) -> ColumnElement[bool]:
        unknown = [value for value in values if value.lower() not in TRUTHS]
        if unknown:
            raise errors.invalid(f"'{unknown[0]}' is not a boolean ({name})")
        wanted: ColumnElement[bool] = column.in_([TRUTHS[value.lower()] for value in values])
        return wanted

    return check


def _number(column: Any) -> Filter:
    def check(name: str, values: Sequence[str]) -> ColumnElement[bool]:
        unknown = [value for value in values if not value.isdecimal() or len(value) > 9]
        if unknown:
            raise errors.invalid(f"'{unknown[0]}' is not an integer ({name})")
        wanted: ColumnElement[bool] = column.in_([int(value) for value in values])
        return wanted

    return check


def _fixed_ips(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    """`fixed_ips=subnet_id=ID`, `fixed_ips=ip_address=IP`: all that are given hold for one and the same port."""
    columns = {"subnet_id": FixedIp.subnet_id, "ip_address": FixedIp.ip}
    wanted: dict[str, list[str]] = {}
    for value in values:
        key, _, rest = value.partition("=")
        if key not in columns:
            raise errors.invalid(f"fixed_ips: '{value}' is not subnet_id=ID or ip_address=IP")
        wanted.setdefault(key, []).append(rest)
    parts = [Port.id.in_(select(FixedIp.port_id).where(columns[key].in_(rest))) for key, rest in wanted.items()]
    return and_(*parts)


def _groups(_name: str, values: Sequence[str]) -> ColumnElement[bool]:
    return Port.id.in_(select(PortSecurityGroup.port_id).where(PortSecurityGroup.security_group_id.in_(values)))


def _state(model: type[Owned]) -> ColumnElement[str]:
    """Status of what stands as soon as its row does."""
    return case((model.fault.is_(None), "ACTIVE"), else_="ERROR")


PORT_STATUS = case((Port.fault.is_not(None), "ERROR"), (and_(Port.wired, Port.admin_state_up), "ACTIVE"), else_="DOWN")
FLOATING_STATUS = case(
    (FloatingIp.fault.is_not(None), "ERROR"),
    (and_(FloatingIp.port_id.is_not(None), FloatingIp.observed_generation == FloatingIp.generation), "ACTIVE"),
    else_="DOWN",
)


@dataclass(frozen=True)
class Listing:
    """One noun's: `sort` columns, `filters`, and what `options` load along."""

    sort: Mapping[str, Any]
    filters: Mapping[str, Filter]
    options: tuple[ORMOption, ...] = ()


def _listing(model: type[Owned], names: Sequence[str], more: Mapping[str, Filter], *options: ORMOption) -> Listing:
    plain = {name: getattr(model, name) for name in ("id", "name", "description", "project_id", *names)}
    sort = {**plain, "tenant_id": model.project_id, "created_at": model.created_at, "updated_at": model.updated_at}
    filters: dict[str, Filter] = {name: _is(column) for name, column in plain.items()}
    filters |= {"tenant_id": _is(model.project_id), "revision_number": _number(model.generation), **more}
    return Listing(sort, filters, options)


LISTINGS: dict[type[Owned], Listing] = {
    Network: _listing(
        Network,
        (),
        {
            "admin_state_up": _truth(Network.admin_state_up),
            "shared": _truth(Network.shared),
            "router:external": _truth(Network.external),
            "is_default": _truth(Network.is_default),
            "port_security_enabled": _truth(Network.port_security_enabled),
            "mtu": _number(Network.mtu),
            "status": _is(_state(Network)),
            "provider:network_type": _is(Network.network_type),
            "provider:physical_network": _is(Network.physical_network),
        },
        selectinload(Network.subnets).load_only(Subnet.id, Subnet.network_id),
    ),
    Subnet: _listing(
        Subnet,
        ("network_id", "cidr", "gateway_ip"),
        {"ip_version": _number(Subnet.ip_version), "enable_dhcp": _truth(Subnet.enable_dhcp)},
    ),
    Port: _listing(
        Port,
        ("network_id", "mac_address", "device_id", "device_owner"),
        {
            "admin_state_up": _truth(Port.admin_state_up),
            "status": _is(PORT_STATUS),
            "binding:host_id": _is(Port.host_id),
            "binding:vnic_type": _is(Port.vnic_type),
            "port_security_enabled": _truth(Port.port_security_enabled),
            "fixed_ips": _fixed_ips,
            "security_groups": _groups,
        },
        selectinload(Port.fixed_ips),
        selectinload(Port.security_groups).load_only(SecurityGroup.id),
    ),
    Router: _listing(
        Router,
        (),
        {"admin_state_up": _truth(Router.admin_state_up), "status": _is(_state(Router))},
        joinedload(Router.gateway).selectinload(Port.fixed_ips),
    ),
    FloatingIp: _listing(
        FloatingIp,
        ("floating_network_id", "floating_ip_address", "fixed_ip_address", "port_id", "router_id"),
        {"status": _is(FLOATING_STATUS)},
        joinedload(FloatingIp.port),
    ),
    SecurityGroup: _listing(SecurityGroup, (), {}, selectinload(SecurityGroup.rules)),
    SecurityGroupRule: _listing(
        SecurityGroupRule,
        ("security_group_id", "direction", "ethertype", "protocol", "remote_ip_prefix", "remote_group_id"),
        {
            "port_range_min": _number(SecurityGroupRule.port_range_min),
            "port_range_max": _number(SecurityGroupRule.port_range_max),
        },
    ),
}


def rows(tx: Tx, actor: Actor, model: type[Owned], page: Page, query: Mapping[str, Sequence[str]]) -> list[Any]:
    """The page's rows, and one more where there is more. Filters that are not known here are ignored, as in Neutron."""
    listing = LISTINGS[model]
    wanted = statement(actor, model).options(*listing.options)
    for name, values in query.items():
        if name in listing.filters:
            wanted = wanted.where(listing.filters[name](name, values) if values else false())
    return page.rows(tx, wanted, listing.sort, model.id)


def one(tx: Tx, actor: Actor, model: type[Owned], id: str) -> Any:
    """The visible row with what its view needs. Raises NotFound."""
    return get(tx, actor, model, id, *LISTINGS[model].options)


def fresh(tx: Tx, model: type[Owned], id: str) -> Any:
    """A row that this transaction has written, read again with what its view needs."""
    return tx.scalars(select(model).where(model.id == id).options(*LISTINGS[model].options)).one()
