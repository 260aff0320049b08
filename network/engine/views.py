"""What the translation needs to know of our rows, free of SQL. Addresses are text in canonical form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkIn:
    """A network. `physical_network`: the provider's wire, else None."""

    id: str
    generation: int
    network_type: str = "geneve"
    physical_network: str | None = None


@dataclass(frozen=True, slots=True)
class SubnetIn:
    """A subnet; `mtu` is its network's, `metadata_ip` and `metadata_mac` the metadata port's."""

    id: str
    generation: int
    network_id: str
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    mtu: int
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()
    metadata_ip: str | None = None
    metadata_mac: str | None = None


@dataclass(frozen=True, slots=True)
class AddressIn:
    """A fixed IP. `prefix`: length of the subnet's; `dhcp`: the subnet answers DHCP."""

    subnet_id: str
    ip: str
    prefix: int
    dhcp: bool


@dataclass(frozen=True, slots=True)
class PortIn:
    """A port. `allowed_pairs`: (MAC, address or range); `chassis`: where it shall be."""

    id: str
    generation: int
    network_id: str
    mac: str
    device_owner: str = ""
    device_id: str = ""
    admin_up: bool = True
    port_security: bool = True
    addresses: tuple[AddressIn, ...] = ()
    security_groups: tuple[str, ...] = ()
    allowed_pairs: tuple[tuple[str, str], ...] = ()
    chassis: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceIn:
    """A router's interface: the port, and the gateway whose address its subnet goes out by (None: no SNAT)."""

    port: PortIn
    router_up: bool
    snat_ip: str | None = None
    cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayIn:
    """A router's leg on an external network; `gateway_chassis` (name, priority), highest first."""

    port: PortIn
    router_up: bool
    nexthop: str | None
    gateway_chassis: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RouterIn:
    """A router."""

    id: str
    generation: int
    admin_up: bool = True


@dataclass(frozen=True, slots=True)
class FloatingIpIn:
    """A floating IP; without `router_id` it leads nowhere."""

    id: str
    generation: int
    floating_ip: str
    fixed_ip: str | None
    router_id: str | None


@dataclass(frozen=True, slots=True)
class RuleIn:
    """A security group rule; `protocol` a name or number of IANA's, None for any."""

    id: str
    generation: int
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
