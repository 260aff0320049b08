"""Tables of the network service (PostgreSQL schema `network`). Only this service writes them.

A row with desired=absent is hidden from the API and stays until the OVN writer has seen it gone; its addresses are free at once,
because the writer removes before it creates.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, and_, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from common.db import Base, Desired, Identified

SCHEMA = "network"
PRESENT = "present"
ABSENT = "absent"

OWNER_INTERFACE = "network:router_interface"
OWNER_GATEWAY = "network:router_gateway"
OWNER_FLOATING = "network:floatingip"
OWNER_METADATA = "network:distributed"

_ALIVE = text("desired = 'present'")
_DIRTY = text("generation <> observed_generation")


def _ref(table: str, *, cascade: bool = False) -> ForeignKey:
    return ForeignKey(f"{SCHEMA}.{table}.id", ondelete="CASCADE" if cascade else None)


def _dirty(table: str) -> Index:
    """What the writer looks for."""
    return Index(f"ix_{table}_dirty", "id", postgresql_where=_DIRTY)


class Owned(Identified, Desired):
    """What every resource of the API has. `project_id` is empty for what the cloud itself owns."""

    project_id: Mapped[str] = mapped_column(String(64), default="", server_default="", index=True)
    name: Mapped[str] = mapped_column(String(255), default="", server_default="")
    description: Mapped[str] = mapped_column(default="", server_default="")

    @property
    def alive(self) -> bool:
        """Whether the API shows it."""
        return self.desired == PRESENT

    def remove(self) -> None:
        """From now on it shall not be."""
        self.desired = ABSENT
        self.touch()


class Network(Owned, Base):
    """A switch of OVN. `external`: routers may have their gateway here, floating IPs come from here."""

    __tablename__ = "network"
    __table_args__ = (
        _dirty("network"),
        Index("uq_network_flat", "physical_network", unique=True, postgresql_where=text("network_type = 'flat' AND desired = 'present'")),
        {"schema": SCHEMA},
    )

    admin_state_up: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    shared: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    external: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    is_default: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    mtu: Mapped[int] = mapped_column(Integer)
    port_security_enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    network_type: Mapped[str] = mapped_column(String(16), default="geneve", server_default="geneve")
    physical_network: Mapped[str | None] = mapped_column(String(64))

    subnets: Mapped[list[Subnet]] = relationship(
        primaryjoin=lambda: and_(Network.id == foreign(Subnet.network_id), Subnet.desired == PRESENT),
        order_by=lambda: (Subnet.created_at, Subnet.id),
        viewonly=True,
    )


class Subnet(Owned, Base):
    """A range of addresses of a network. `allocation_pools`: [{"start", "end"}]; `host_routes`: [{"destination", "nexthop"}]."""

    __tablename__ = "subnet"
    __table_args__ = (_dirty("subnet"), {"schema": SCHEMA})

    network_id: Mapped[str] = mapped_column(String(36), _ref("network"), index=True)
    ip_version: Mapped[int] = mapped_column(Integer, default=4, server_default="4")
    cidr: Mapped[str] = mapped_column(String(64))
    gateway_ip: Mapped[str | None] = mapped_column(String(64))
    enable_dhcp: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    dns_nameservers: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default="[]")
    host_routes: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    allocation_pools: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")

    network: Mapped[Network] = relationship(viewonly=True)


class FixedIp(Base):
    """An address that a port holds. The key is what keeps two ports from one address."""

    __tablename__ = "fixed_ip"
    __table_args__ = ({"schema": SCHEMA},)

    subnet_id: Mapped[str] = mapped_column(String(36), _ref("subnet", cascade=True), primary_key=True)
    ip: Mapped[str] = mapped_column(String(64), primary_key=True)
    port_id: Mapped[str] = mapped_column(String(36), _ref("port", cascade=True), index=True)
    position: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    subnet: Mapped[Subnet] = relationship(viewonly=True)


class PortSecurityGroup(Base):
    """Which groups' rules hold for a port."""

    __tablename__ = "port_security_group"
    __table_args__ = ({"schema": SCHEMA},)

    port_id: Mapped[str] = mapped_column(String(36), _ref("port", cascade=True), primary_key=True)
    security_group_id: Mapped[str] = mapped_column(String(36), _ref("security_group", cascade=True), primary_key=True, index=True)


class Port(Owned, Base):
    """A plug. `wired`: its chassis was last seen to have it up. `chassis` is where it shall be, `host_id` that host's name.

    `created_by_compute`: it goes with its server; else it is handed back.
    """

    __tablename__ = "port"
    __table_args__ = (
        _dirty("port"),
        Index("uq_port_mac", "network_id", "mac_address", unique=True, postgresql_where=_ALIVE),
        Index("ix_port_device_id", "device_id"),
        {"schema": SCHEMA},
    )

    network_id: Mapped[str] = mapped_column(String(36), _ref("network"))
    mac_address: Mapped[str] = mapped_column(String(17))
    admin_state_up: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    device_id: Mapped[str] = mapped_column(String(255), default="", server_default="")
    device_owner: Mapped[str] = mapped_column(String(255), default="", server_default="")
    port_security_enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    allowed_address_pairs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list, server_default="[]")
    host_id: Mapped[str] = mapped_column(String(255), default="", server_default="")
    chassis: Mapped[str | None] = mapped_column(String(255))
    vnic_type: Mapped[str] = mapped_column(String(32), default="normal", server_default="normal")
    profile: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    wired: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    created_by_compute: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))

    network: Mapped[Network] = relationship(viewonly=True)
    fixed_ips: Mapped[list[FixedIp]] = relationship(order_by=lambda: (FixedIp.position, FixedIp.ip), viewonly=True)
    security_groups: Mapped[list[SecurityGroup]] = relationship(
        secondary=lambda: PortSecurityGroup.__table__, order_by=lambda: SecurityGroup.id, viewonly=True
    )
    floating_ips: Mapped[list[FloatingIp]] = relationship(
        primaryjoin=lambda: and_(Port.id == foreign(FloatingIp.port_id), FloatingIp.desired == PRESENT), viewonly=True
    )


class Router(Owned, Base):
    """A router. Its interfaces are the ports whose device_id is its id."""

    __tablename__ = "router"
    __table_args__ = (_dirty("router"), {"schema": SCHEMA})

    admin_state_up: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    gateway_port_id: Mapped[str | None] = mapped_column(String(36), _ref("port"))
    enable_snat: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))

    gateway: Mapped[Port | None] = relationship(viewonly=True)


class FloatingIp(Owned, Base):
    """An address of an external network that a router translates to a port's. `floating_port_id` is the port that holds it."""

    __tablename__ = "floating_ip"
    __table_args__ = (_dirty("floating_ip"), Index("ix_floating_ip_router_id", "router_id"), {"schema": SCHEMA})

    floating_network_id: Mapped[str] = mapped_column(String(36), _ref("network"))
    floating_ip_address: Mapped[str] = mapped_column(String(64))
    floating_port_id: Mapped[str] = mapped_column(String(36), _ref("port"))
    port_id: Mapped[str | None] = mapped_column(String(36), _ref("port"), index=True)
    fixed_ip_address: Mapped[str | None] = mapped_column(String(64))
    router_id: Mapped[str | None] = mapped_column(String(36), _ref("router"))

    port: Mapped[Port | None] = relationship(foreign_keys=lambda: FloatingIp.port_id, viewonly=True)


class SecurityGroup(Owned, Base):
    """A set of rules. The index makes the first use of a project's `default` group free of races."""

    __tablename__ = "security_group"
    __table_args__ = (
        _dirty("security_group"),
        Index("uq_security_group_default", "project_id", unique=True, postgresql_where=text("is_default AND desired = 'present'")),
        {"schema": SCHEMA},
    )

    is_default: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))

    rules: Mapped[list[SecurityGroupRule]] = relationship(
        primaryjoin=lambda: and_(SecurityGroup.id == foreign(SecurityGroupRule.security_group_id), SecurityGroupRule.desired == PRESENT),
        order_by=lambda: (SecurityGroupRule.created_at, SecurityGroupRule.id),
        viewonly=True,
    )


class SecurityGroupRule(Owned, Base):
    """What a group lets through. NULL is any. For ICMP `port_range_min` is the type and `port_range_max` the code."""

    __tablename__ = "security_group_rule"
    __table_args__ = (_dirty("security_group_rule"), {"schema": SCHEMA})

    security_group_id: Mapped[str] = mapped_column(String(36), _ref("security_group"), index=True)
    direction: Mapped[str] = mapped_column(String(8))
    ethertype: Mapped[str] = mapped_column(String(8))
    protocol: Mapped[str | None] = mapped_column(String(40))
    port_range_min: Mapped[int | None] = mapped_column(Integer)
    port_range_max: Mapped[int | None] = mapped_column(Integer)
    remote_ip_prefix: Mapped[str | None] = mapped_column(String(64))
    remote_group_id: Mapped[str | None] = mapped_column(String(36), _ref("security_group"), index=True)
