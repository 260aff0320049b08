"""A real ovn-northd takes what we write, and every match and action that comes of it parses (ovn-trace reads them all)."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from network.engine import names, translate
from network.engine.base import Chassis
from network.engine.northbound import OvnNorthbound
from network.engine.views import AddressIn, FloatingIpIn, GatewayIn, InterfaceIn, NetworkIn, PortIn, RouterIn, RuleIn, SubnetIn
from tests.contract.network_planes import OvsdbPlane

pytestmark = [pytest.mark.engine, pytest.mark.skipif(not shutil.which("ovn-northd"), reason="needs ovn-central")]
GROUP, FAR = "11111111-2222-3333-4444-555555555555", "99999999-0000-0000-0000-000000000000"
MAC = "fa:16:3e:00:00:05"
RULES = [
    {},
    *({"protocol": name} for name in ("tcp", "udp", "sctp", "icmp", *translate.PROTOCOL_NUMBERS, "47", "1", "6", "255")),
    {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
    {"protocol": "132", "port_range_min": 1, "port_range_max": 65535},
    {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
    {"protocol": "icmp", "port_range_min": 8},
    {"remote_ip_prefix": "10.0.0.0/8", "protocol": "udp", "port_range_min": 5, "port_range_max": 9},
    {"remote_group_id": FAR},
    {"remote_group_id": GROUP, "protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
]
RULES6 = [
    {},
    {"protocol": "ipv6-icmp", "port_range_min": 128},
    {"remote_ip_prefix": "fd00::/8"},
    {"remote_group_id": FAR},
    {"protocol": "tcp"},
]


class NorthdPlane(OvsdbPlane):
    """The northbound database, the southbound one, and northd between them."""

    def __init__(self) -> None:
        super().__init__()
        database = self.dir / "sb.db"
        self.southbound = f"unix:{self.dir}/sb.sock"
        subprocess.run(["ovsdb-tool", "create", database, "/usr/share/ovn/ovn-sb.ovsschema"], check=True)
        quiet = ["-vconsole:off", "-vsyslog:off", "--no-chdir"]
        self._more = [subprocess.Popen(["ovsdb-server", database, f"--remote=p{self.southbound}", f"--unixctl={self.dir}/sb.ctl", *quiet])]
        subprocess.run(["ovsdb-client", "--timeout=60", "wait", self.southbound, "OVN_Southbound", "connected"], check=True)
        northd = [
            "ovn-northd", f"--ovnnb-db={self.remote}", f"--ovnsb-db={self.southbound}", f"--unixctl={self.dir}/northd.ctl",
            f"--log-file={self.dir}/northd.log", *quiet,
        ]  # fmt: skip
        self._more.append(subprocess.Popen(northd))

    def add_chassis(self, name: str, mappings: str) -> None:
        """What ovn-controller does when it comes up."""
        command = ["chassis-add", name, "geneve", "127.0.0.1", "--", "set", "Chassis", name, f"other_config:ovn-bridge-mappings={mappings}"]
        subprocess.run(["ovn-sbctl", f"--db={self.southbound}", "--timeout=60", *command], check=True)

    @property
    def complaints(self) -> list[str]:
        """What northd warned of, but for how long the machine let it wait ("Unreasonably long 1003ms poll interval")."""
        lines = Path(self.dir / "northd.log").read_text().splitlines()
        return [line for line in lines if re.search(r"\|(WARN|ERR|EMER)\|", line) and "lock" not in line and "|timeval|" not in line]

    def flows(self, text: str) -> int:
        done = subprocess.run(
            ["ovn-sbctl", f"--db={self.southbound}", "--timeout=60", "lflow-list"], check=True, capture_output=True, text=True
        )
        return done.stdout.count(text)

    def trace(self, switch: str, packet: str) -> subprocess.CompletedProcess[str]:
        command = ["ovn-trace", f"--db={self.southbound}", switch, packet]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    def close(self) -> None:
        for process in self._more:
            process.terminate()
            process.wait(60)
        super().close()


@pytest.fixture
def plane() -> Iterator[NorthdPlane]:
    made = NorthdPlane()
    yield made
    made.close()


def cloud() -> list[list]:
    """Transactions: what a tenant has, in every form that we know."""
    subnet = SubnetIn(
        "s", 1, "n", "10.0.0.0/24", "10.0.0.1", True, 1442, ("9.9.9.9", "1.1.1.1"), (("10.9.0.0/16", "10.0.0.7"),), "10.0.0.2", MAC
    )  # fmt: skip
    rules = [("IPv4", one) for one in RULES] + [("IPv6", one) for one in RULES6]
    units = [
        RuleIn(f"{direction}{n}", 1, GROUP, direction, ethertype, **one)
        for n, (ethertype, one) in enumerate(rules)
        for direction in ("ingress", "egress")
    ]
    here = (AddressIn("s", "10.0.0.5", 24, True),)
    pairs = (("02:00:00:00:00:01", "10.0.0.128/25"), (MAC, "10.0.0.77"))
    leg = PortIn("leg", 1, "n", "fa:16:3e:00:00:fe", translate.OWNER_INTERFACE, "r", addresses=(AddressIn("s", "10.0.0.1", 24, True),))
    out = PortIn("gw", 1, "e", "fa:16:3e:00:01:fe", translate.OWNER_GATEWAY, "r", addresses=(AddressIn("x", "203.0.113.5", 24, False),))
    hosts = translate.schedule("gw", "ext", [Chassis("h1", "h1", frozenset({"ext"}))])
    return [
        [
            translate.network(1, NetworkIn("n", 1)),
            translate.network(1, NetworkIn("e", 1, "flat", "ext")),
            translate.subnet(1, subnet),
            translate.router(1, RouterIn("r", 1)),
            translate.drop_group(1),
            translate.security_group(1, GROUP, 1),
            translate.security_group(1, FAR, 1),
        ],
        [translate.rule(1, one) for one in units],
        [
            translate.port(1, PortIn("p", 1, "n", MAC, addresses=here, security_groups=(GROUP,), allowed_pairs=pairs, chassis="h1")),
            translate.port(1, PortIn("far", 1, "n", "fa:16:3e:00:00:06", addresses=(AddressIn("s", "10.0.0.6", 24, True),), security_groups=(FAR,))),
            translate.port(1, PortIn("bare", 1, "n", "fa:16:3e:00:00:07", addresses=(AddressIn("s", "10.0.0.8", 24, True),))),
            translate.port(1, PortIn("md", 1, "n", "fa:16:3e:00:00:02", translate.OWNER_METADATA, addresses=(AddressIn("s", "10.0.0.2", 24, True),))),
            translate.interface(1, InterfaceIn(leg, True, "203.0.113.5", ("10.0.0.0/24",))),
            translate.gateway(1, GatewayIn(out, True, "203.0.113.1", hosts)),
        ],
        [translate.floating_ip(1, FloatingIpIn("f", 1, "203.0.113.9", "10.0.0.5", "r"))],
    ]  # fmt: skip


def test_northd_takes_everything_and_it_parses(plane):
    plane.add_chassis("h1", "ext:br-ex")
    engine = plane.engine()
    engine.acquire(1)
    for units in cloud():
        engine.apply(1, units)
    limit = time.monotonic() + 90
    while not plane.flows("203.0.113.9"):
        assert time.monotonic() < limit, plane.complaints
        time.sleep(0.1)
    assert plane.flows("put_dhcp_opts") >= 2
    assert plane.complaints == []
    ask = f'inport == "p" && eth.src == {MAC} && eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67 && ip.ttl == 64'
    for port, mac in (("p", MAC), ("bare", "fa:16:3e:00:00:07")):
        done = plane.trace(names.switch("n"), ask.replace('"p"', f'"{port}"').replace(MAC, mac))
        assert "parsing" not in done.stderr, done.stderr
        assert "put_dhcp_opts" in done.stdout, done.stdout
    spoofed = plane.trace(
        names.switch("n"),
        f'inport == "p" && eth.src == {MAC} && eth.dst == fa:16:3e:00:00:06 && ip4.src == 10.0.0.99 && ip4.dst == 10.0.0.6 && ip.ttl == 64',
    )
    assert 'output to "far"' not in spoofed.stdout
    while not engine.wired()["leg"]:
        assert time.monotonic() < limit, "northd says that a router's leg is up"
        time.sleep(0.1)


NAKED = "fa:16:3e:00:00:09"
ASKS = "ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67 && ip.ttl == 64"
ARP = "eth.type == 0x806 && arp.op == 1 && arp.tha == 00:00:00:00:00:00"
SPOOFS = [
    "ip4.src == 10.0.0.99 && ip4.dst == 10.0.0.6 && udp.dst == 53 && ip.ttl == 64",
    "ip4.src == 10.0.0.99 && ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67 && ip.ttl == 64",
    f"{ARP} && arp.sha == {NAKED} && arp.spa == 10.0.0.1 && arp.tpa == 10.0.0.6",
    f"{ARP} && arp.sha == {MAC} && arp.spa == 0.0.0.0 && arp.tpa == 10.0.0.6",
    "ip6.src == fd00::1 && ip6.dst == fd00::2 && udp.dst == 53 && ip.ttl == 64",
    "ip6.src == fe80::1 && ip6.dst == ff02::1 && nd.target == fd00::1 && nd_na && nd.tll == fa:16:3e:00:00:09 && ip.ttl == 255",
]


@pytest.mark.parametrize("naked", [True, False])
def test_a_port_without_addresses_asks_for_dhcp_and_no_more(plane, naked):
    """The twin without port security is what shows that each packet would arrive."""
    engine = plane.engine()
    engine.acquire(1)
    for units in cloud()[:2]:
        engine.apply(1, units)
    mine = PortIn("naked", 1, "n", NAKED, security_groups=(GROUP,)) if naked else PortIn("naked", 1, "n", NAKED, port_security=False)
    engine.apply(1, [translate.port(1, mine), translate.port(1, PortIn("open", 1, "n", "fa:16:3e:00:00:0a", port_security=False))])
    frame = f'inport == "naked" && eth.src == {NAKED} && eth.dst == ff:ff:ff:ff:ff:ff && '
    limit = time.monotonic() + 90
    while 'output to "open"' not in plane.trace(names.switch("n"), frame + ASKS).stdout:
        assert time.monotonic() < limit, plane.trace(names.switch("n"), frame + ASKS)
        time.sleep(0.1)
    for spoof in SPOOFS:
        done = plane.trace(names.switch("n"), frame + spoof)
        assert done.returncode == 0, done.stderr
        assert ('output to "open"' in done.stdout) is not naked, f"{spoof}: {done.stdout}"


def test_chassis_are_seen_as_they_come(plane):
    engine = OvnNorthbound(plane.remote, plane.southbound, timeout=30)
    try:
        assert engine.chassis() == ()
        engine.wait(0)
        plane.add_chassis("h1", "ext:br-ex,other:br-o")
        assert engine.wait(60)
        limit = time.monotonic() + 90
        while not any(one.bridges for one in engine.chassis()):
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert engine.chassis() == (Chassis("h1", engine.chassis()[0].hostname, frozenset({"ext", "other"})),)
    finally:
        engine.close()
