"""A namespace for each network with guests here, in which its metadata answers; wolke-metadata listens inside.

A namespace outlives both processes: neither's death takes metadata from a guest for longer than its own restart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from compute.agent import tap as device
from compute.agent.document import Network
from compute.agent.ovsdb import Ovsdb
from compute.agent.tap import run

METADATA_IP = "169.254.169.254"
NETWORK_KEY = "wolke-network"
FOLDER = "/run/netns"
INSIDE = "md0"


def namespace_of(network_id: str) -> str:
    """The namespace's name."""
    return f"md-{network_id[:11]}"


def device_of(network_id: str) -> str:
    """The outer end's name."""
    return f"mdo{network_id[:11]}"


class NetworkNamespaces:
    """`ports.Namespaces` with iproute2 and the host's Open vSwitch."""

    def __init__(self, ovsdb: Ovsdb) -> None:
        self._ovsdb = ovsdb
        self._made: dict[str, Network] = {}  # as this life of the agent made them; each is gone through once after a start

    def present(self) -> Mapping[str, Network | None]:
        interfaces = self._ovsdb.snapshot().interfaces
        devices = device.names()
        listed = {ids[NETWORK_KEY]: name for name, ids in interfaces.items() if NETWORK_KEY in ids}
        present: dict[str, Network | None] = {}
        for network_id, name in listed.items():
            whole = name in devices and _is_namespace(namespace_of(network_id))
            present[network_id] = self._made.get(network_id) if whole else None
        return present

    def add(self, network: Network) -> None:
        name, outer = namespace_of(network.id), device_of(network.id)
        ids = {"iface-id": f"md-{network.id}", "iface-status": "active", "attached-mac": network.mac, NETWORK_KEY: network.id}
        if outer not in self._ovsdb.snapshot().interfaces:
            self._ovsdb.put_port(outer, ids, anew=True)  # first: its row is how a half-made namespace is found
        if not _is_namespace(name):
            device.remove(outer)  # of a namespace that is gone
            _remove(name)
            run("ip", "netns", "add", name)
        made = outer not in device.names()
        if made:
            run("ip", "link", "add", outer, "type", "veth", "peer", "name", INSIDE, "netns", name)
        if self._ovsdb.snapshot().datapath == "netdev":
            device.fence(outer)
        else:
            device.no_ipv6(outer)
        device.up(outer, network.mtu)
        run("ip", "netns", "exec", name, "ethtool", "-K", INSIDE, "tx", "off")  # no one would fill in the checksums
        run("ip", "-n", name, "-batch", "-", stdin=_inside(network))
        self._ovsdb.put_port(outer, ids, anew=made)
        self._made[network.id] = network

    def remove(self, network_id: str) -> None:
        device.remove(device_of(network_id))
        _remove(namespace_of(network_id))
        self._made.pop(network_id, None)
        self._ovsdb.drop_port(device_of(network_id))  # last: its row is how a half-removed namespace is found


def _is_namespace(name: str) -> bool:
    """Whether the name stands for a namespace: who died while making it has left an empty file."""
    try:
        return os.stat(f"{FOLDER}/{name}").st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def _remove(name: str) -> None:
    if os.path.exists(f"{FOLDER}/{name}"):
        run("ip", "netns", "del", name)


def _inside(network: Network) -> str:
    """What `ip` does inside: every guest is on the link, whatever its subnet."""
    addresses = [ip for ip in network.ips if ":" not in ip]
    lines = ["link set lo up", f"link set {INSIDE} address {network.mac} mtu {network.mtu} up", f"addr flush dev {INSIDE} scope global"]
    lines += [f"addr replace {ip}/32 dev {INSIDE}" for ip in [*addresses, METADATA_IP]]
    lines.append(f"route replace default dev {INSIDE}" + (f" src {addresses[0]}" if addresses else ""))
    return "\n".join(lines) + "\n"
