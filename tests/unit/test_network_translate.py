"""Our rows in OVN's words: tables of what becomes what."""

from __future__ import annotations

import pytest

from network.engine import names, translate
from network.engine.base import Chassis
from network.engine.desired import DhcpOptions, GatewayChassis, Nat, RouterPort, Row, StaticRoute, SwitchPort, Unit
from network.engine.views import (
    AddressIn,
    FloatingIpIn,
    GatewayIn,
    InterfaceIn,
    NetworkIn,
    PortIn,
    RouterIn,
    RuleIn,
    SubnetIn,
)

ME = "11111111-2222-3333-4444-555555555555"
PG = "pg_11111111_2222_3333_4444_555555555555"
FAR = "99999999-0000-0000-0000-000000000000"
FAR_PG = "pg_99999999_0000_0000_0000_000000000000"


def rule(**more) -> RuleIn:
    return RuleIn("r", 1, ME, **{"direction": "ingress", "ethertype": "IPv4", **more})


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({}, f"outport == @{PG} && ip4"),
        ({"direction": "egress"}, f"inport == @{PG} && ip4"),
        ({"ethertype": "IPv6"}, f"outport == @{PG} && ip6"),
        ({"protocol": "tcp"}, f"outport == @{PG} && ip4 && tcp"),
        ({"protocol": "6", "port_range_min": 22, "port_range_max": 22}, f"outport == @{PG} && ip4 && tcp && tcp.dst == 22"),
        (
            {"protocol": "udp", "port_range_min": 1, "port_range_max": 65535},
            f"outport == @{PG} && ip4 && udp && udp.dst >= 1 && udp.dst <= 65535",
        ),
        ({"protocol": "sctp", "port_range_min": 7, "port_range_max": 7}, f"outport == @{PG} && ip4 && sctp && sctp.dst == 7"),
        ({"protocol": "icmp"}, f"outport == @{PG} && ip4 && icmp4"),
        ({"protocol": "1", "port_range_min": 8}, f"outport == @{PG} && ip4 && icmp4 && icmp4.type == 8"),
        (
            {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
            f"outport == @{PG} && ip4 && icmp4 && icmp4.type == 8 && icmp4.code == 0",
        ),
        ({"protocol": "ipv6-icmp", "ethertype": "IPv6"}, f"outport == @{PG} && ip6 && icmp6"),
        ({"protocol": "vrrp"}, f"outport == @{PG} && ip4 && ip.proto == 112"),
        ({"protocol": "47"}, f"outport == @{PG} && ip4 && ip.proto == 47"),
        ({"remote_ip_prefix": "10.0.0.0/8"}, f"outport == @{PG} && ip4 && ip4.src == 10.0.0.0/8"),
        ({"remote_ip_prefix": "10.0.0.0/8", "direction": "egress"}, f"inport == @{PG} && ip4 && ip4.dst == 10.0.0.0/8"),
        ({"remote_ip_prefix": "10.1.2.3/8"}, f"outport == @{PG} && ip4 && ip4.src == 10.0.0.0/8"),
        ({"remote_ip_prefix": "10.1.2.3/0"}, f"outport == @{PG} && ip4"),
        ({"remote_ip_prefix": "0.0.0.0/0"}, f"outport == @{PG} && ip4"),
        ({"remote_ip_prefix": "::/0", "ethertype": "IPv6"}, f"outport == @{PG} && ip6"),
        ({"remote_ip_prefix": "fd00::/8", "ethertype": "IPv6"}, f"outport == @{PG} && ip6 && ip6.src == fd00::/8"),
        ({"remote_group_id": FAR}, f"outport == @{PG} && ip4 && ip4.src == ${FAR_PG}_ip4"),
        (
            {"remote_group_id": FAR, "direction": "egress", "ethertype": "IPv6"},
            f"inport == @{PG} && ip6 && ip6.dst == ${FAR_PG}_ip6",
        ),
        (
            {"remote_group_id": ME, "protocol": "tcp", "port_range_min": 80, "port_range_max": 81},
            f"outport == @{PG} && ip4 && ip4.src == ${PG}_ip4 && tcp && tcp.dst >= 80 && tcp.dst <= 81",
        ),
    ],
)
def test_a_rule_is_a_match(more, match):
    assert translate.rule_match(rule(**more)) == match
    [acl] = translate.rule(1, rule(**more)).rows
    columns = acl.columns()
    assert (columns["priority"], columns["action"]) == (translate.ALLOW_PRIORITY, "allow-related")
    assert columns["direction"] == ("from-lport" if more.get("direction") == "egress" else "to-lport")


def subnet(**more) -> SubnetIn:
    base = {"network_id": "n", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": True, "mtu": 1442}
    return SubnetIn("s", 3, **{**base, **more})


def options(sub: SubnetIn) -> dict[str, str]:
    [row] = translate.subnet(1, sub).rows
    assert isinstance(row, DhcpOptions)
    return dict(row.options)


@pytest.mark.parametrize(
    ("more", "routes"),
    [
        ({}, "{0.0.0.0/0,10.0.0.1}"),
        ({"metadata_ip": "10.0.0.2"}, "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}"),
        ({"metadata_ip": "10.0.0.2", "gateway_ip": None}, "{169.254.169.254/32,10.0.0.2}"),
        ({"host_routes": (("10.9.0.0/16", "10.0.0.7"),)}, "{10.9.0.0/16,10.0.0.7, 0.0.0.0/0,10.0.0.1}"),
        ({"host_routes": (("0.0.0.0/0", "10.0.0.7"),)}, "{0.0.0.0/0,10.0.0.7}"),
    ],
)
def test_dhcp_routes(more, routes):
    assert options(subnet(**more))["classless_static_route"] == routes


def test_dhcp_options():
    found = options(subnet(dns_nameservers=("9.9.9.9", "1.1.1.1"), metadata_ip="10.0.0.2", metadata_mac="fa:16:3e:00:00:02"))
    assert found["server_id"] == found["router"] == "10.0.0.1"
    assert found["server_mac"] == "fa:16:3e:00:00:02"
    assert (found["mtu"], found["dns_server"], found["lease_time"]) == ("1442", "{9.9.9.9, 1.1.1.1}", "43200")
    lonely = options(subnet(gateway_ip=None, metadata_ip="10.0.0.2"))
    assert lonely["server_id"] == "10.0.0.2"
    assert "router" not in lonely
    assert options(subnet())["server_mac"] == translate.server_mac("s")


@pytest.mark.parametrize("more", [{"enable_dhcp": False}, {"gateway_ip": None}])
def test_no_dhcp(more):
    assert translate.subnet(1, subnet(**more)) == Unit("subnet", "s", 1, 3)


def port(**more) -> PortIn:
    base = {"addresses": (AddressIn("s", "10.0.0.5", 24, True),), "security_groups": (ME,)}
    return PortIn("p", 1, "n", "fa:16:3e:00:00:05", **{**base, **more})


def switch_port(item: PortIn) -> SwitchPort:
    [row] = translate.port(1, item).rows
    assert isinstance(row, SwitchPort)
    return row


def test_a_secured_port():
    row = switch_port(port(chassis="c1"))
    assert row.addresses == row.port_security == ("fa:16:3e:00:00:05 10.0.0.5",)
    assert row.members == {PG, names.DROP_GROUP}
    assert (row.dhcpv4, row.options, row.type) == ("dhcp-s", {"requested-chassis": "c1"}, "")


def test_a_port_without_groups_is_dropped_all_the_same():
    assert switch_port(port(security_groups=())).members == {names.DROP_GROUP}


def test_a_port_without_security():
    row = switch_port(port(port_security=False, security_groups=()))
    assert (row.port_security, row.members) == ((), frozenset())
    assert row.addresses == ("fa:16:3e:00:00:05 10.0.0.5", "unknown")


def test_a_port_without_addresses():
    row = switch_port(port(addresses=()))
    assert row.addresses == ("fa:16:3e:00:00:05",)
    assert row.port_security == ("fa:16:3e:00:00:05 0.0.0.0",), "a MAC alone leaves IP and ARP free"
    assert row.dhcpv4 == ""
    paired = switch_port(port(addresses=(), allowed_pairs=(("fa:16:3e:00:00:05", "10.0.0.100"),)))
    assert paired.port_security == ("fa:16:3e:00:00:05 10.0.0.100",)


def test_allowed_pairs_by_mac():
    pairs = (("fa:16:3e:00:00:05", "10.0.0.100"), ("02:00:00:00:00:01", "10.0.0.101"), ("02:00:00:00:00:01", "10.2.0.0/16"))
    assert switch_port(port(allowed_pairs=pairs)).port_security == (
        "fa:16:3e:00:00:05 10.0.0.5 10.0.0.100",
        "02:00:00:00:00:01 10.0.0.101 10.2.0.0/16",
    )


def test_ports_of_the_cloud():
    md = switch_port(port(device_owner=translate.OWNER_METADATA, port_security=False, security_groups=()))
    assert (md.name, md.type, md.addresses) == ("md-n", "localport", ("fa:16:3e:00:00:05 10.0.0.5 169.254.169.254",))
    assert md.members == frozenset()
    assert translate.port(1, port(device_owner=translate.OWNER_FLOATING)).rows == ()


def by_type(unit: Unit) -> dict[type[Row], list[Row]]:
    found: dict[type[Row], list[Row]] = {}
    for row in unit.rows:
        found.setdefault(type(row), []).append(row)
    return found


@pytest.mark.parametrize(("up", "admin"), [(True, True), (False, True), (True, False)])
def test_a_leg(up, admin):
    item = port(device_owner=translate.OWNER_INTERFACE, device_id="r", admin_up=admin)
    rows = by_type(translate.interface(1, InterfaceIn(item, up, "203.0.113.5", ("10.0.0.0/24",))))
    [near], [far], [nat] = rows[SwitchPort], rows[RouterPort], rows[Nat]
    assert (near.type, near.addresses, near.options) == ("router", ("router",), {"router-port": "lrp-p"})
    assert (far.name, far.router, far.networks, far.mac) == ("lrp-p", "wolke-r", ("10.0.0.5/24",), "fa:16:3e:00:00:05")
    assert far.enabled is (up and admin)
    assert (nat.type, nat.external_ip, nat.logical_ip, nat.router) == ("snat", "203.0.113.5", "10.0.0.0/24", "wolke-r")
    assert Nat not in by_type(translate.interface(1, InterfaceIn(item, up)))


def test_a_gateway():
    item = port(device_owner=translate.OWNER_GATEWAY, device_id="r")
    rows = by_type(translate.gateway(1, GatewayIn(item, True, "203.0.113.1", (("h2", 2), ("h1", 1)))))
    assert rows[SwitchPort][0].options == {"router-port": "lrp-p", "nat-addresses": "router"}
    assert [(row.key, row.priority) for row in rows[GatewayChassis]] == [("lrp-p_h2", 2), ("lrp-p_h1", 1)]
    [route] = rows[StaticRoute]
    assert (route.ip_prefix, route.nexthop, route.output_port) == ("0.0.0.0/0", "203.0.113.1", "lrp-p")
    assert StaticRoute not in by_type(translate.gateway(1, GatewayIn(item, True, None)))


def test_networks_routers_and_floating_ips():
    assert [row.key for row in translate.network(1, NetworkIn("n", 1)).rows] == ["wolke-n"]
    [_, wire] = translate.network(1, NetworkIn("n", 1, "flat", "ext")).rows
    assert (wire.type, wire.options) == ("localnet", {"network_name": "ext"})
    assert translate.router(1, RouterIn("r", 1, False)).rows[0].columns()["enabled"] is False
    [nat] = translate.floating_ip(1, FloatingIpIn("f", 1, "203.0.113.9", "10.0.0.5", "r")).rows
    assert (nat.type, nat.external_ip, nat.logical_ip) == ("dnat_and_snat", "203.0.113.9", "10.0.0.5")
    assert translate.floating_ip(1, FloatingIpIn("f", 1, "203.0.113.9", None, None)).rows == ()


def chassis(name: str, *bridges: str, gateway: bool = False) -> Chassis:
    return Chassis(name, name, frozenset(bridges), gateway)


def test_gateways_are_placed_on_the_wired():
    hosts = [chassis("a", "ext"), chassis("b"), chassis("c", "ext", "other")]
    placed = translate.schedule("lrp", "ext", hosts)
    assert {name for name, _ in placed} == {"a", "c"}
    assert [priority for _, priority in placed] == [2, 1]
    assert translate.schedule("lrp", "ext", list(reversed(hosts))) == placed
    assert translate.schedule("lrp", "no", hosts) == ()
    assert {name for name, _ in translate.schedule("lrp", None, hosts)} == {"a", "b", "c"}


def test_marked_chassis_come_alone_and_at_most_five():
    assert translate.schedule("p", "x", [chassis("a", "x"), chassis("b", "x", gateway=True)]) == (("b", 1),)
    many = [chassis(f"h{n}", "x") for n in range(9)]
    assert len(translate.schedule("p", "x", many)) == translate.MAX_GATEWAY_CHASSIS
    assert len({translate.schedule(f"p{n}", "x", many)[0] for n in range(30)}) > 3
