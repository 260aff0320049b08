"""What the northbound database shall hold, as frozen values.

`translate.py` makes them from our rows; the engines (`northbound.py`, `memory.py`) bring OVN to them. No I/O here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from network.engine import names

Value: TypeAlias = str | int | bool | tuple[str, ...] | Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Ref:
    """Another row, by table and key. An empty key names nothing."""

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The row and the column of it that hold a row of a table without roots (RFC 7047, isRoot)."""

    table: str
    column: str
    key: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of OVN's northbound database (ovn-nb(5)). `key` is unique within the table."""

    TABLE: ClassVar[str]

    @property
    def key(self) -> str:
        raise NotImplementedError

    @property
    def parent(self) -> Parent | None:
        return None

    @property
    def refs(self) -> dict[str, Ref | None]:
        """Columns that point at another row."""
        return {}

    @property
    def groups(self) -> frozenset[str] | None:
        """Names of the port groups that hold the row; None where the table has no groups."""
        return None

    def columns(self) -> dict[str, Value]:
        """The plain columns; None leaves an optional column empty."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Switch(Row):
    """A layer 2 network."""

    TABLE: ClassVar[str] = "Logical_Switch"
    name: str
    other_config: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name

    def columns(self) -> dict[str, Value]:
        return {"name": self.name, "other_config": self.other_config}


@dataclass(frozen=True, slots=True)
class Router(Row):
    """A layer 3 network."""

    TABLE: ClassVar[str] = "Logical_Router"
    name: str
    enabled: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name

    def columns(self) -> dict[str, Value]:
        return {"name": self.name, "enabled": self.enabled, "options": self.options}


@dataclass(frozen=True, slots=True)
class DhcpOptions(Row):
    """What OVN answers a subnet's DHCP requests with."""

    TABLE: ClassVar[str] = "DHCP_Options"
    subnet_id: str
    cidr: str
    options: Mapping[str, str]

    @property
    def key(self) -> str:
        return names.dhcp(self.subnet_id)

    def columns(self) -> dict[str, Value]:
        return {"cidr": self.cidr, "options": self.options}


@dataclass(frozen=True, slots=True)
class PortGroup(Row):
    """Ports that share ACLs; OVN derives the address sets NAME_ip4 and NAME_ip6."""

    TABLE: ClassVar[str] = "Port_Group"
    name: str

    @property
    def key(self) -> str:
        return self.name

    def columns(self) -> dict[str, Value]:
        return {"name": self.name}


@dataclass(frozen=True, slots=True)
class Acl(Row):
    """One rule on a group's ports; `id` is our key."""

    TABLE: ClassVar[str] = "ACL"
    id: str
    group: str
    direction: str
    priority: int
    match: str
    action: str

    @property
    def key(self) -> str:
        return self.id

    @property
    def parent(self) -> Parent:
        return Parent("Port_Group", "acls", self.group)

    def columns(self) -> dict[str, Value]:
        return {"direction": self.direction, "priority": self.priority, "match": self.match, "action": self.action}


@dataclass(frozen=True, slots=True)
class SwitchPort(Row):
    """`members` are the port groups it belongs to; OVN makes each group's address sets from `addresses`."""

    TABLE: ClassVar[str] = "Logical_Switch_Port"
    name: str
    switch: str
    type: str = ""
    addresses: tuple[str, ...] = ()
    port_security: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    dhcpv4: str = ""
    members: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        return self.name

    @property
    def parent(self) -> Parent:
        return Parent("Logical_Switch", "ports", self.switch)

    @property
    def refs(self) -> dict[str, Ref | None]:
        return {"dhcpv4_options": Ref("DHCP_Options", self.dhcpv4) if self.dhcpv4 else None}

    @property
    def groups(self) -> frozenset[str]:
        return self.members

    def columns(self) -> dict[str, Value]:
        return {
            "name": self.name,
            "type": self.type,
            "addresses": self.addresses,
            "port_security": self.port_security,
            "options": self.options,
            "enabled": self.enabled,
        }


@dataclass(frozen=True, slots=True)
class RouterPort(Row):
    """A router's end of a leg."""

    TABLE: ClassVar[str] = "Logical_Router_Port"
    name: str
    router: str
    mac: str
    networks: tuple[str, ...]
    enabled: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.name

    @property
    def parent(self) -> Parent:
        return Parent("Logical_Router", "ports", self.router)

    def columns(self) -> dict[str, Value]:
        return {
            "name": self.name,
            "mac": self.mac,
            "networks": self.networks,
            "enabled": self.enabled,
            "options": self.options,
        }


@dataclass(frozen=True, slots=True)
class GatewayChassis(Row):
    """A chassis that may carry a router port; the highest priority that is alive does."""

    TABLE: ClassVar[str] = "Gateway_Chassis"
    router_port: str
    chassis: str
    priority: int

    @property
    def key(self) -> str:
        return f"{self.router_port}_{self.chassis}"

    @property
    def parent(self) -> Parent:
        return Parent("Logical_Router_Port", "gateway_chassis", self.router_port)

    def columns(self) -> dict[str, Value]:
        return {"name": self.key, "chassis_name": self.chassis, "priority": self.priority}


@dataclass(frozen=True, slots=True)
class Nat(Row):
    """`snat` of a range, or `dnat_and_snat` of one address."""

    TABLE: ClassVar[str] = "NAT"
    id: str
    router: str
    type: str
    external_ip: str
    logical_ip: str

    @property
    def key(self) -> str:
        return self.id

    @property
    def parent(self) -> Parent:
        return Parent("Logical_Router", "nat", self.router)

    def columns(self) -> dict[str, Value]:
        return {"type": self.type, "external_ip": self.external_ip, "logical_ip": self.logical_ip}


@dataclass(frozen=True, slots=True)
class StaticRoute(Row):
    """A route of a router."""

    TABLE: ClassVar[str] = "Logical_Router_Static_Route"
    id: str
    router: str
    ip_prefix: str
    nexthop: str
    output_port: str | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def parent(self) -> Parent:
        return Parent("Logical_Router", "static_routes", self.router)

    def columns(self) -> dict[str, Value]:
        return {"ip_prefix": self.ip_prefix, "nexthop": self.nexthop, "output_port": self.output_port}


# Creation order within a transaction: what is referred to comes before what refers to it.
ORDER: tuple[type[Row], ...] = (
    Switch,
    Router,
    DhcpOptions,
    PortGroup,
    Acl,
    SwitchPort,
    RouterPort,
    GatewayChassis,
    Nat,
    StaticRoute,
)
RANK: dict[str, int] = {row.TABLE: rank for rank, row in enumerate(ORDER)}
NAMED = frozenset(
    {
        "Logical_Switch",
        "Logical_Router",
        "Port_Group",
        "Logical_Switch_Port",
        "Logical_Router_Port",
        "Gateway_Chassis",
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """All that one of our rows means in OVN. No rows: it shall be absent there."""

    kind: str
    id: str
    epoch: int
    generation: int
    rows: tuple[Row, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which state of our database a unit in OVN stems from."""

    epoch: int
    generation: int
