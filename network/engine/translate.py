"""From our rows to OVN's: pure functions, one per noun. Meanings of columns: ovn-nb(5)."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from network.engine import names
from network.engine.base import Chassis
from network.engine.desired import (
    Acl,
    DhcpOptions,
    GatewayChassis,
    Nat,
    PortGroup,
    Router,
    RouterPort,
    Row,
    StaticRoute,
    Switch,
    SwitchPort,
    Unit,
)
from network.engine.views import (
    FloatingIpIn,
    GatewayIn,
    InterfaceIn,
    NetworkIn,
    PortIn,
    RouterIn,
    RuleIn,
    SubnetIn,
)

METADATA_IP = "169.254.169.254"
NO_IP = "0.0.0.0"
DROP_PRIORITY = 1001
ALLOW_PRIORITY = 1002
LEASE_SECONDS = 43200
MAX_GATEWAY_CHASSIS = 5

NETWORK = "network"
SUBNET = "subnet"
PORT = "port"
ROUTER = "router"
FLOATING_IP = "floatingip"
GROUP = "security_group"
RULE = "security_group_rule"
DROP = "drop"

# Ports that compute does not own: OVN answers for them, so neither groups nor anti-spoofing apply.
OWNER_INTERFACE = "network:router_interface"
OWNER_GATEWAY = "network:router_gateway"
OWNER_FLOATING = "network:floatingip"
OWNER_METADATA = "network:distributed"


def network(epoch: int, net: NetworkIn) -> Unit:
    """A network: its switch, and its way out where it is a provider's."""
    rows: list[Row] = [Switch(names.switch(net.id))]
    if net.physical_network:
        rows.append(
            SwitchPort(
                names.localnet(net.id),
                names.switch(net.id),
                type="localnet",
                addresses=("unknown",),
                options={"network_name": net.physical_network},
            )
        )
    return Unit(NETWORK, net.id, epoch, net.generation, tuple(rows))


def server_mac(subnet_id: str) -> str:
    """The address DHCP answers from where no router or metadata port lends one: local, stable per subnet."""
    digest = hashlib.sha256(subnet_id.encode()).digest()
    return "0e:00:" + ":".join(f"{byte:02x}" for byte in digest[:4])


def _routes(subnet: SubnetIn) -> str:
    """Option 121. A client that gets it ignores option 3 (RFC 3442), so the default route is in it too."""
    routes = [(METADATA_IP + "/32", subnet.metadata_ip)] if subnet.metadata_ip else []
    routes += [(destination, hop) for destination, hop in subnet.host_routes]
    if subnet.gateway_ip and all(destination != "0.0.0.0/0" for destination, _ in subnet.host_routes):
        routes.append(("0.0.0.0/0", subnet.gateway_ip))
    return "{" + ", ".join(f"{destination},{hop}" for destination, hop in routes) + "}"


def subnet(epoch: int, sub: SubnetIn) -> Unit:
    """DHCPv4 options. A subnet with neither gateway nor metadata port has no address to answer from: no DHCP."""
    server = sub.gateway_ip or sub.metadata_ip
    if not sub.enable_dhcp or not server:
        return Unit(SUBNET, sub.id, epoch, sub.generation)
    options = {
        "server_id": server,
        "server_mac": sub.metadata_mac or server_mac(sub.id),
        "lease_time": str(LEASE_SECONDS),
        "mtu": str(sub.mtu),
    }
    if sub.gateway_ip:
        options["router"] = sub.gateway_ip
    if sub.dns_nameservers:
        options["dns_server"] = "{" + ", ".join(sub.dns_nameservers) + "}"
    routes = _routes(sub)
    if routes != "{}":
        options["classless_static_route"] = routes
    return Unit(SUBNET, sub.id, epoch, sub.generation, (DhcpOptions(sub.id, sub.cidr, options),))


def _address(mac: str, ips: Iterable[str]) -> str:
    return " ".join([mac, *ips])


def _port_security(port: PortIn) -> tuple[str, ...]:
    """What the port may send as and be sent to: its own addresses and the allowed pairs, one entry per MAC.

    A MAC alone would leave IP and ARP free: one without addresses has 0.0.0.0, which lets it ask for DHCP.
    """
    by_mac: dict[str, list[str]] = {port.mac: [address.ip for address in port.addresses]}
    for mac, ip in port.allowed_pairs:
        by_mac.setdefault(mac, []).append(ip)
    return tuple(_address(mac, ips or [NO_IP]) for mac, ips in by_mac.items())


def port(epoch: int, item: PortIn) -> Unit:
    """A port that a guest (or nobody yet) plugs into, or the network's metadata port."""
    if item.device_owner == OWNER_FLOATING:
        return Unit(PORT, item.id, epoch, item.generation)
    row = _metadata_port(item) if item.device_owner == OWNER_METADATA else _guest_port(item)
    return Unit(PORT, item.id, epoch, item.generation, (row,))


def _own_address(item: PortIn) -> str:
    return _address(item.mac, (address.ip for address in item.addresses))


def _metadata_port(item: PortIn) -> SwitchPort:
    return SwitchPort(
        names.metadata_port(item.network_id),
        names.switch(item.network_id),
        type="localport",
        addresses=(f"{_own_address(item)} {METADATA_IP}",),
    )


def _guest_port(item: PortIn) -> SwitchPort:
    own, secure = _own_address(item), item.port_security
    groups = {names.port_group(group) for group in item.security_groups} | {names.DROP_GROUP} if secure else set()
    return SwitchPort(
        item.id,
        names.switch(item.network_id),
        addresses=(own,) if secure else (own, "unknown"),
        port_security=_port_security(item) if secure else (),
        options={"requested-chassis": item.chassis} if item.chassis else {},
        enabled=item.admin_up,
        dhcpv4=next((names.dhcp(address.subnet_id) for address in item.addresses if address.dhcp), ""),
        members=frozenset(groups),
    )


def _leg(item: PortIn, router_up: bool, options: dict[str, str]) -> list[Row]:
    """The two ends of the patch between a switch and a router."""
    name = names.router_port(item.id)
    networks = tuple(f"{address.ip}/{address.prefix}" for address in item.addresses)
    return [
        SwitchPort(
            item.id,
            names.switch(item.network_id),
            type="router",
            addresses=("router",),
            options={"router-port": name, **options},
            enabled=item.admin_up,
        ),
        RouterPort(name, names.router(item.device_id), item.mac, networks, enabled=item.admin_up and router_up),
    ]


def interface(epoch: int, item: InterfaceIn) -> Unit:
    """A router's leg on a tenant's network, with the SNAT of its ranges."""
    rows = _leg(item.port, item.router_up, {})
    if item.snat_ip:
        rows += [Nat(f"snat-{item.port.id}-{cidr}", names.router(item.port.device_id), "snat", item.snat_ip, cidr) for cidr in item.cidrs]
    return Unit(PORT, item.port.id, epoch, item.port.generation, tuple(rows))


def gateway(epoch: int, item: GatewayIn) -> Unit:
    """`nat-addresses=router`: the chassis announces the addresses of SNAT and floating IPs by gratuitous ARP."""
    rows = _leg(item.port, item.router_up, {"nat-addresses": "router"})
    name = names.router_port(item.port.id)
    rows += [GatewayChassis(name, chassis, priority) for chassis, priority in item.gateway_chassis]
    if item.nexthop:
        rows.append(StaticRoute(f"default-{item.port.id}", names.router(item.port.device_id), "0.0.0.0/0", item.nexthop, name))
    return Unit(PORT, item.port.id, epoch, item.port.generation, tuple(rows))


def schedule(router_port_id: str, physical_network: str | None, chassis: Iterable[Chassis]) -> tuple[tuple[str, int], ...]:
    """Which chassis carry a gateway, highest priority first; the same answer for the same chassis.

    Those that are mapped to the physical network, of these the ones marked enable-chassis-as-gw if any is.
    The order is by a hash of both names: gateways spread, and a new chassis moves few.
    """
    able = [one for one in chassis if physical_network is None or physical_network in one.bridges]
    able = [one for one in able if one.gateway] or able

    def weight(one: Chassis) -> str:
        return hashlib.sha256(f"{router_port_id} {one.name}".encode()).hexdigest()

    chosen = sorted(able, key=weight)[:MAX_GATEWAY_CHASSIS]
    return tuple((one.name, len(chosen) - place) for place, one in enumerate(chosen))


def router(epoch: int, item: RouterIn) -> Unit:
    """A router without its legs, which are units of their own."""
    options = {"always_learn_from_arp_request": "false", "dynamic_neigh_routers": "true"}
    row = Router(names.router(item.id), item.admin_up, options)
    return Unit(ROUTER, item.id, epoch, item.generation, (row,))


def floating_ip(epoch: int, item: FloatingIpIn) -> Unit:
    """The translation both ways; nothing while it leads nowhere."""
    if not item.fixed_ip or not item.router_id:
        return Unit(FLOATING_IP, item.id, epoch, item.generation)
    row = Nat(f"fip-{item.id}", names.router(item.router_id), "dnat_and_snat", item.floating_ip, item.fixed_ip)
    return Unit(FLOATING_IP, item.id, epoch, item.generation, (row,))


def security_group(epoch: int, group_id: str, generation: int) -> Unit:
    """The group alone: its rules are units of their own."""
    return Unit(GROUP, group_id, epoch, generation, (PortGroup(names.port_group(group_id)),))


def drop_group(epoch: int) -> Unit:
    """What every secured port is in: no IP but what a rule allows, and DHCP's questions, which OVN answers itself."""
    name = names.DROP_GROUP
    dhcp = "ip4 && udp.src == 68 && udp.dst == 67"
    rows: tuple[Row, ...] = (
        PortGroup(name),
        Acl("drop-in", name, "to-lport", DROP_PRIORITY, f"outport == @{name} && ip", "drop"),
        Acl("drop-out", name, "from-lport", DROP_PRIORITY, f"inport == @{name} && ip", "drop"),
        Acl("dhcp-out", name, "from-lport", ALLOW_PRIORITY, f"inport == @{name} && {dhcp}", "allow"),
    )
    return Unit(DROP, name, epoch, 1, rows)


_ICMP = {"IPv4": "icmp4", "IPv6": "icmp6"}
_PORTS = {"6": "tcp", "17": "udp", "132": "sctp", "tcp": "tcp", "udp": "udp", "sctp": "sctp"}
_ICMP_NAMES = {"icmp", "icmpv6", "ipv6-icmp", "1", "58"}
PROTOCOL_NUMBERS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "udplite": 136,
    "vrrp": 112,
}


def _span(field: str, low: int | None, high: int | None) -> list[str]:
    if low is not None and low == high:
        return [f"{field} == {low}"]
    bounds = [f"{field} >= {low}"] if low is not None else []
    return bounds + ([f"{field} <= {high}"] if high is not None else [])


def _protocol(rule: RuleIn) -> list[str]:
    """The match for protocol, and its ports, or its ICMP type and code."""
    low, high = rule.port_range_min, rule.port_range_max
    if rule.protocol is None:
        return []
    if rule.protocol in _ICMP_NAMES:
        icmp = _ICMP[rule.ethertype]
        return [icmp, *_span(f"{icmp}.type", low, low), *_span(f"{icmp}.code", high, high)]
    name = _PORTS.get(rule.protocol)
    if name is None:
        return [f"ip.proto == {PROTOCOL_NUMBERS.get(rule.protocol, rule.protocol)}"]
    return [name, *_span(f"{name}.dst", low, high)]


def rule_match(rule: RuleIn) -> str:
    """The ACL's expression (ovn-sb(5), Logical_Flow.match)."""
    ingress = rule.direction == "ingress"
    ip = "ip4" if rule.ethertype == "IPv4" else "ip6"
    group = names.port_group(rule.security_group_id)
    parts = [f"{'outport' if ingress else 'inport'} == @{group}", ip]
    far = f"{ip}.{'src' if ingress else 'dst'}"
    if rule.remote_group_id:
        parts.append(f"{far} == ${names.port_group(rule.remote_group_id)}_{ip}")
    elif rule.remote_ip_prefix:
        net = ipaddress.ip_network(rule.remote_ip_prefix, strict=False)
        parts += [f"{far} == {net}"] if net.prefixlen else []
    return " && ".join(parts + _protocol(rule))


def rule(epoch: int, item: RuleIn) -> Unit:
    """One ACL."""
    direction = "to-lport" if item.direction == "ingress" else "from-lport"
    acl = Acl(
        f"rule-{item.id}",
        names.port_group(item.security_group_id),
        direction,
        ALLOW_PRIORITY,
        rule_match(item),
        "allow-related",
    )
    return Unit(RULE, item.id, epoch, item.generation, (acl,))
