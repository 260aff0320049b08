"""One contract for both switches: the twin in memory, and taps and namespaces on a host's Open vSwitch with OVN behind it.

The real half must run inside a host: test_agent_on_host.py runs this file there, with WOLKE_TEST_OVS (the host's database) and WOLKE_TEST_OVN
(the northbound database) set; the twin's half runs where they are not.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from compute.agent.document import Network, Nic, parse
from compute.agent.memory import MemoryNamespaces, MemorySwitch
from compute.agent.ports import Namespaces, Switch
from tests.unit import agent_world
from tests.unit.agent_world import network, nic, raw_document, server


def wait_for(holds: Callable[[], object]) -> None:
    """OVN has its part in most of it: far longer than that takes on a machine of one's own."""
    agent_world.wait_for(holds, 120)


class Bench(Protocol):
    switch: Switch
    namespaces: Namespaces

    def nic(self) -> Nic: ...
    def again(self) -> None: ...
    def lose_devices(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.memory = MemorySwitch()
        self.switch: Switch = self.memory
        self.namespaces: Namespaces = MemoryNamespaces()

    def nic(self) -> Nic:
        return make_nic(str(uuid.uuid4()), str(uuid.uuid4()))

    def again(self) -> None:
        networks = self.namespaces.present()
        self.namespaces = MemoryNamespaces()
        self.namespaces.networks.update(dict.fromkeys(networks))

    def lose_devices(self) -> None:
        self.memory.ports = {name: replace(tap, port_id="", installed=False) for name, tap in self.memory.ports.items()}

    def close(self) -> None:
        pass


class OvsBench:
    def __init__(self) -> None:
        self.again()
        self.logical = f"agent-test-{uuid.uuid4()}"
        self.network_id = str(uuid.uuid4())
        self.nb("ls-add", self.logical)
        wait_for(self.reached)

    def again(self) -> None:
        """Another life of the agent."""
        from compute.agent.netns import NetworkNamespaces
        from compute.agent.ovsdb import Ovsdb
        from compute.agent.switch import OvsSwitch

        self.ovsdb = Ovsdb(os.environ["WOLKE_TEST_OVS"], "br-int")
        self.switch: Switch = OvsSwitch(self.ovsdb)
        self.namespaces: Namespaces = NetworkNamespaces(self.ovsdb)
        wait_for(self.reached)

    def reached(self) -> bool:
        return self.ovsdb._snapshot is not None

    def nb(self, *command: str) -> None:
        subprocess.run(["ovn-nbctl", f"--db={os.environ['WOLKE_TEST_OVN']}", *command], check=True)

    def nic(self) -> Nic:
        made = make_nic(str(uuid.uuid4()), self.network_id)
        self.nb("lsp-add", self.logical, made.port_id, "--", "lsp-set-addresses", made.port_id, f"{made.mac} 10.0.0.11")
        return made

    def lose_devices(self) -> None:
        for name in self.switch.taps():
            subprocess.run(["ip", "link", "del", name], check=True)

    def close(self) -> None:
        for name in self.switch.taps():
            self.switch.unplug(name)
        self.namespaces.remove(self.network_id)
        self.nb("ls-del", self.logical)


def make_nic(port_id: str, network_id: str) -> Nic:
    wish = server(nics=[nic(port_id, network_id=network_id)])
    return next(iter(parse(raw_document(wish)).servers.values())).nics[0]


def make_network(network_id: str, mtu: int = 1442) -> Network:
    return parse(raw_document(networks=[network(network_id, mtu=mtu)])).networks[network_id]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = OvsBench() if "WOLKE_TEST_OVS" in os.environ else MemoryBench()
    yield bench
    bench.close()


def test_a_plugged_tap_is_installed_and_told_and_an_unplugged_one_is_gone(bench: Bench) -> None:
    wanted, owner = bench.nic(), str(uuid.uuid4())
    told: list[None] = []
    bench.switch.on_change(lambda: told.append(None))
    bench.switch.plug(owner, wanted)
    bench.switch.plug(owner, wanted)
    wait_for(lambda: bench.switch.taps()[wanted.tap].installed)
    tap = bench.switch.taps()[wanted.tap]
    assert (tap.server_id, tap.port_id, tap.network_id) == (owner, wanted.port_id, wanted.network_id)
    assert told
    bench.switch.unplug(wanted.tap)
    bench.switch.unplug(wanted.tap)
    assert wanted.tap not in bench.switch.taps()


def test_a_tap_outlives_the_agent(bench: Bench) -> None:
    wanted, owner = bench.nic(), str(uuid.uuid4())
    bench.switch.plug(owner, wanted)
    bench.again()
    assert bench.switch.taps()[wanted.tap].server_id == owner


def test_taps_lost_with_the_host_are_seen_unplugged_and_plugged_again(bench: Bench) -> None:
    wanted, owner = bench.nic(), str(uuid.uuid4())
    bench.switch.plug(owner, wanted)
    wait_for(lambda: bench.switch.taps()[wanted.tap].installed)
    bench.lose_devices()
    assert (bench.switch.taps()[wanted.tap].port_id, bench.switch.taps()[wanted.tap].server_id) == ("", owner)
    bench.switch.plug(owner, wanted)
    wait_for(lambda: bench.switch.taps()[wanted.tap].installed)


def test_a_namespace_is_made_changed_found_by_the_next_life_and_removed(bench: Bench) -> None:
    wanted = make_network(bench.nic().network_id)
    bench.namespaces.add(wanted)
    bench.namespaces.add(wanted)
    assert bench.namespaces.present()[wanted.id] == wanted
    bench.again()
    assert bench.namespaces.present()[wanted.id] is None
    changed = make_network(wanted.id, 1400)
    bench.namespaces.add(changed)
    assert bench.namespaces.present()[wanted.id] == changed
    bench.namespaces.remove(wanted.id)
    bench.namespaces.remove(wanted.id)
    assert wanted.id not in bench.namespaces.present()


def test_a_tap_is_fenced_before_it_is_up_and_nothing_of_it_stays(bench: Bench) -> None:
    if isinstance(bench, OvsBench):  # the twin has no devices
        wanted = bench.nic()
        bench.switch.plug(str(uuid.uuid4()), wanted)
        rules = subprocess.run(["nft", "list", "table", "netdev", "wolke"], check=True, capture_output=True, text=True).stdout
        assert f'device "{wanted.tap}" priority filter; policy drop' in rules
        link = json.loads(subprocess.run(["ip", "-j", "link", "show", wanted.tap], check=True, capture_output=True).stdout)[0]
        assert (link["mtu"], "UP" in link["flags"]) == (1442, True)
        bench.switch.unplug(wanted.tap)
        rules = subprocess.run(["nft", "list", "table", "netdev", "wolke"], check=True, capture_output=True, text=True).stdout
        assert wanted.tap not in rules
        assert wanted.tap not in {name for _, name in socket.if_nameindex()}


def test_a_namespace_that_was_left_half_made_is_made_whole(bench: Bench) -> None:
    if isinstance(bench, OvsBench):  # the twin has no files
        wanted = make_network(bench.network_id)
        Path(f"/run/netns/md-{wanted.id[:11]}").touch()
        bench.namespaces.add(wanted)
        assert bench.namespaces.present()[wanted.id] == wanted
        inside = ["ip", "netns", "exec", f"md-{wanted.id[:11]}", "ip", "-br", "address", "show", "md0"]
        shown = subprocess.run(inside, check=True, capture_output=True, text=True).stdout
        assert "10.0.0.2/32" in shown
        assert "169.254.169.254/32" in shown
