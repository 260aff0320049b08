"""From rows to units: what of a batch of rows the translation needs, in a fixed number of queries per batch."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from common.db import Tx
from network.engine import translate, views
from network.engine.base import Chassis
from network.engine.desired import Unit
from network.models import (
    OWNER_GATEWAY,
    OWNER_INTERFACE,
    OWNER_METADATA,
    PRESENT,
    FixedIp,
    FloatingIp,
    Network,
    Owned,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from network.service.subnet import dns_servers


@dataclass(frozen=True, slots=True)
class World:
    """What a translation needs besides rows."""

    epoch: int
    chassis: tuple[Chassis, ...] = ()


def _networks(_tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    return [translate.network(world.epoch, views.NetworkIn(row.id, row.generation, row.network_type, row.physical_network)) for row in rows]


def _metadata(tx: Tx, subnet_ids: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """(IP, MAC) of the metadata port by subnet."""
    query = select(FixedIp.subnet_id, FixedIp.ip, Port.mac_address).join(Port, Port.id == FixedIp.port_id)
    query = query.where(FixedIp.subnet_id.in_(subnet_ids), Port.device_owner == OWNER_METADATA, Port.desired == PRESENT)
    return {subnet_id: (ip, mac) for subnet_id, ip, mac in tx.execute(query)}


def _subnets(tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    metadata = _metadata(tx, [row.id for row in rows])
    mtus = dict(tx.execute(select(Network.id, Network.mtu).where(Network.id.in_({row.network_id for row in rows}))).all())
    found = []
    for row in rows:
        ip, mac = metadata.get(row.id, (None, None))
        routes = tuple((route["destination"], route["nexthop"]) for route in row.host_routes)
        view = views.SubnetIn(
            row.id,
            row.generation,
            row.network_id,
            row.cidr,
            row.gateway_ip,
            row.enable_dhcp,
            mtus[row.network_id],
            tuple(dns_servers(row)),
            routes,
            ip,
            mac,
        )
        found.append(translate.subnet(world.epoch, view))
    return found


def _routers(_tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    return [translate.router(world.epoch, views.RouterIn(row.id, row.generation, row.admin_state_up)) for row in rows]


def _groups(_tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    return [translate.security_group(world.epoch, row.id, row.generation) for row in rows]


_RULE = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")


def _rules(_tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    return [
        translate.rule(
            world.epoch, views.RuleIn(row.id, row.generation, row.security_group_id, **{name: getattr(row, name) for name in _RULE})
        )
        for row in rows
    ]


def _floating_ips(_tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    return [
        translate.floating_ip(
            world.epoch, views.FloatingIpIn(row.id, row.generation, row.floating_ip_address, row.fixed_ip_address, row.router_id)
        )
        for row in rows
    ]


def _address(fixed: FixedIp, metadata: Mapping[str, Any]) -> views.AddressIn:
    """`dhcp` is true exactly where `translate.subnet` makes options."""
    subnet = fixed.subnet
    dhcp = subnet.enable_dhcp and bool(subnet.gateway_ip or subnet.id in metadata)
    return views.AddressIn(subnet.id, fixed.ip, ipaddress.ip_network(subnet.cidr).prefixlen, dhcp)


def _port(row: Port, metadata: Mapping[str, Any]) -> views.PortIn:
    return views.PortIn(
        row.id,
        row.generation,
        row.network_id,
        row.mac_address,
        row.device_owner,
        row.device_id,
        row.admin_state_up and row.network.admin_state_up,
        row.port_security_enabled,
        tuple(_address(fixed, metadata) for fixed in row.fixed_ips),
        tuple(group.id for group in row.security_groups),
        tuple((pair["mac_address"], pair["ip_address"]) for pair in row.allowed_address_pairs),
        row.chassis,
    )


def _ports(tx: Tx, world: World, rows: Sequence[Any]) -> list[Unit]:
    query = select(Port).where(Port.id.in_([row.id for row in rows])).order_by(Port.id)
    query = query.options(
        joinedload(Port.network),
        selectinload(Port.fixed_ips).joinedload(FixedIp.subnet),
        selectinload(Port.security_groups).load_only(SecurityGroup.id),
    )
    full = tx.scalars(query, execution_options={"populate_existing": True}).unique().all()
    metadata = _metadata(tx, list({fixed.subnet_id for row in full for fixed in row.fixed_ips}))
    routers = _routers_of(tx, [row.device_id for row in full if row.device_owner in (OWNER_INTERFACE, OWNER_GATEWAY)])
    return [_port_unit(world, row, _port(row, metadata), routers.get(row.device_id)) for row in full]


def _routers_of(tx: Tx, ids: Sequence[str]) -> Mapping[str, Router]:
    if not ids:
        return {}
    query = select(Router).where(Router.id.in_(ids), Router.desired == PRESENT)
    query = query.options(joinedload(Router.gateway).selectinload(Port.fixed_ips))
    return {row.id: row for row in tx.scalars(query, execution_options={"populate_existing": True}).unique()}


def _port_unit(world: World, row: Port, view: views.PortIn, router: Router | None) -> Unit:
    if row.device_owner == OWNER_INTERFACE and router is not None:
        outer = router.gateway.fixed_ips if router.gateway is not None and router.enable_snat else []
        cidrs = tuple(fixed.subnet.cidr for fixed in row.fixed_ips)
        leg = views.InterfaceIn(view, router.admin_state_up, outer[0].ip if outer else None, cidrs)
        return translate.interface(world.epoch, leg)
    if row.device_owner == OWNER_GATEWAY and router is not None:
        nexthop = row.fixed_ips[0].subnet.gateway_ip if row.fixed_ips else None
        chassis = translate.schedule(row.id, row.network.physical_network, world.chassis)
        return translate.gateway(world.epoch, views.GatewayIn(view, router.admin_state_up, nexthop, chassis))
    return translate.port(world.epoch, view)


@dataclass(frozen=True, slots=True)
class Kind:
    """A noun of the writer's: the name its units carry, its table, how its rows become units."""

    name: str
    model: type[Owned]
    units: Callable[[Tx, World, Sequence[Any]], list[Unit]]


# What is referred to comes first. Groups and rules are brought about a transaction before the ports that they guard.
KINDS = (
    Kind(translate.NETWORK, Network, _networks),
    Kind(translate.SUBNET, Subnet, _subnets),
    Kind(translate.ROUTER, Router, _routers),
    Kind(translate.GROUP, SecurityGroup, _groups),
    Kind(translate.RULE, SecurityGroupRule, _rules),
    Kind(translate.PORT, Port, _ports),
    Kind(translate.FLOATING_IP, FloatingIp, _floating_ips),
)
BY_NAME = {kind.name: kind for kind in KINDS}
