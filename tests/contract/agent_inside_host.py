"""The whole agent on a real hypervisor, against a controller in this process. Run inside a host by test_agent_on_host.py."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.managers import BaseManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from common.clock import boottime
from compute.agent import ceph
from compute.agent.consoles import FileConsoles
from compute.agent.document import Document
from compute.agent.domain_xml import Builder, Ceph
from compute.agent.libvirt import LibvirtHypervisor, define_ceph_secret
from compute.agent.loop import Agent
from compute.agent.metadata import Plan, Service
from compute.agent.metadata_server import Pool
from compute.agent.netns import NetworkNamespaces
from compute.agent.observe import Host
from compute.agent.ovsdb import Ovsdb
from compute.agent.ports import Controller
from compute.agent.protocol import Courier
from compute.agent.state import StateDir
from compute.agent.switch import OvsSwitch
from tests.support.guests import qemu_of
from tests.unit import agent_world
from tests.unit.agent_world import FakeController, disk, network, nic, raw_document, server

CONF, USER = "/etc/ceph/ceph.conf", os.environ["WOLKE_TEST_CEPH_USER"]
pytestmark = pytest.mark.timeout(1800)  # guests boot several times, on a processor that others want too
GUEST = os.environ.get("WOLKE_TEST_GUEST", "/var/cache/wolke/guest/guest.raw")


def wait_for(holds: Callable[[], object], seconds: float = 120) -> None:
    """For what a guest or an engine has its part in: far longer than it takes on a machine of one's own."""
    agent_world.wait_for(holds, seconds)


def tool(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Cloud:
    """One network, one server's disks and port, and the host's agent in one life after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.controller: Any = FakeController()
        self.server_id, self.network_id, self.port_id, self.volume_id = (str(uuid.uuid4()) for _ in range(4))
        digest = hashlib.sha256(self.port_id.encode()).hexdigest()
        self.mac = f"fa:16:3e:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"
        self.consoles = FileConsoles(folder / "console")
        self.state = StateDir(str(folder))
        self.life: Life | None = None
        self.generation = 1

    def build(self) -> None:
        rbd = ("rbd", "-c", CONF, "-n", f"client.{USER}")
        tool(*rbd, "import", "--image-format", "2", GUEST, f"vms/{self.server_id}_disk")
        tool(*rbd, "create", "--size", "64M", f"volumes/volume-{self.volume_id}")
        switch = f"agent-test-{self.network_id}"
        self.nb("ls-add", switch)
        options = {"server_id": "10.0.0.1", "server_mac": "fa:16:3e:00:00:ff", "lease_time": "3600", "router": "10.0.0.1", "mtu": "1400"}
        options["classless_static_route"] = "{169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}"
        columns = [f'options:{key}="{value}"' for key, value in options.items()]
        dhcp = self.nb("create", "DHCP_Options", "cidr=10.0.0.0/24", f"external_ids:test={self.network_id}", *columns).strip()
        self.nb("lsp-add", switch, self.port_id, "--", "lsp-set-addresses", self.port_id, f"{self.mac} 10.0.0.11")
        self.nb("lsp-set-port-security", self.port_id, f"{self.mac} 10.0.0.11", "--", "lsp-set-dhcpv4-options", self.port_id, dhcp)
        meta = f"md-{self.network_id}"
        self.nb("lsp-add", switch, meta, "--", "lsp-set-type", meta, "localport")
        self.nb("lsp-set-addresses", meta, "fa:16:3e:00:00:fe 10.0.0.2 169.254.169.254")

    def nb(self, *command: str) -> str:
        return tool("ovn-nbctl", f"--db={os.environ['WOLKE_TEST_OVN']}", *command)

    def tear_down(self) -> None:
        if self.life is not None:
            self.life.end()
        for command in (("destroy", f"wolke-{self.server_id}"), ("undefine", f"wolke-{self.server_id}")):
            subprocess.run(["virsh", "-q", *command], check=False, capture_output=True)
        for bridge_port in (f"tap{self.port_id[:11]}", f"mdo{self.network_id[:11]}"):
            subprocess.run(["ovs-vsctl", "--if-exists", "del-port", bridge_port], check=False)
            subprocess.run(["ip", "link", "del", bridge_port], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", f"md-{self.network_id[:11]}"], check=False, capture_output=True)
        self.nb("ls-del", f"agent-test-{self.network_id}")
        for uuid_ in self.nb("--bare", "--columns=_uuid", "find", "DHCP_Options", f"external_ids:test={self.network_id}").split():
            self.nb("destroy", "DHCP_Options", uuid_)
        for image in (f"vms/{self.server_id}_disk", f"volumes/volume-{self.volume_id}"):
            subprocess.run(["rbd", "-c", CONF, "-n", f"client.{USER}", "rm", "--no-progress", image], check=False, capture_output=True)

    def wish(self, **changes: Any) -> None:
        """Wish the server with these changes, and wake the agent."""
        root = disk(image=f"{self.server_id}_disk", serial=self.server_id[:20])
        wire = nic(self.port_id, mac=self.mac, network_id=self.network_id, mtu=1400)
        known = {"generation": self.generation, "disks": [root], "nics": [wire], "hostname": "agent-vm", "memory_mib": 96}
        wanted = server(self.server_id, **{**known, **changes})
        self.generation = wanted["generation"]
        self.controller.raw = raw_document(wanted, networks=[network(self.network_id, mtu=1400)])
        if self.life is not None:
            self.life.courier.wake()

    def volume(self, **changes: Any) -> list[dict[str, Any]]:
        root = disk(image=f"{self.server_id}_disk", serial=self.server_id[:20])
        return [root, disk("vol", device="vdb", pool="volumes", image=f"volume-{self.volume_id}", serial=self.volume_id[:20], **changes)]

    def live(self) -> Life:
        """A new life of the agent."""
        if self.life is not None:
            self.life.end()
        self.life = Life(self)
        return self.life

    def last(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.controller.last(self.server_id)
        return entry

    def until(self, state: str, seconds: float = 240) -> dict[str, Any]:
        wait_for(lambda: self.last().get("state") == state and self.last()["generation"] == self.generation, seconds)
        return self.last()

    def ready(self, times: int = 1) -> str:
        wait_for(lambda: len(re.findall(r"guest: READY .*uptime=", self.console())) >= times, 300)  # the whole line
        return self.console()

    def console(self) -> str:
        return self.consoles.tail(self.server_id, None)


class Place(Protocol):
    """What a life needs: where its files are, and whom it reports to."""

    controller: Controller
    consoles: FileConsoles
    state: StateDir


class Life:
    """The agent and the metadata service, as their main() put them together."""

    def __init__(self, cloud: Place) -> None:
        self.cloud = cloud
        secret = ceph.secret_uuid(CONF, USER)
        builder = Builder("qemu", Ceph(CONF, USER, secret).source, cloud.consoles.path)
        ovsdb = Ovsdb(os.environ["WOLKE_TEST_OVS"], "br-int")
        hypervisor = LibvirtHypervisor("qemu:///system", builder, lambda conn: define_ceph_secret(conn, secret, USER, ceph.key(CONF, USER)))
        self.host = Host(hypervisor, OvsSwitch(ovsdb), NetworkNamespaces(ovsdb), cloud.consoles)
        self.courier = Courier(cloud.controller, cloud.state.identity(), "hv", clock=boottime, tick_s=1)
        self.agent = Agent(self.host, self.courier, clock=boottime, address="a", hostname="hv", shutdown_s=30, tick_s=1)
        self.courier.on_document = self.take
        plan = Plan(cloud.state.plan_file)
        self.metadata = Service(plan, Pool(plan.owner))
        self.over = threading.Event()
        self.threads = [threading.Thread(target=run) for run in (self.courier.run, self.agent.run, self.serve)]
        for thread in self.threads:
            thread.start()

    def take(self, document: Document) -> None:
        self.cloud.state.save_plan(document.raw)
        self.agent.look()

    def serve(self) -> None:
        while not self.over.wait(0.1):
            self.metadata.look()
        for _, listener in self.metadata._listeners.values():
            listener.close()

    def end(self) -> None:
        self.over.set()
        self.agent.stop()
        self.courier.stop()
        for thread in self.threads:
            thread.join()
        self.host.hypervisor.on_change(lambda _: None)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    try:
        cloud.build()
        yield cloud
    finally:
        cloud.tear_down()


def test_a_server_lives_its_life(cloud: Cloud) -> None:
    life = cloud.live()
    wait_for(lambda: cloud.controller.reports)
    assert cloud.controller.reports[-1]["resources"]["hypervisor_type"] == "QEMU"
    started = time.monotonic()
    cloud.wish()
    entry = cloud.until("running")
    print(f"from wake to running reported: {time.monotonic() - started:.2f} s")
    assert entry["nics"] == [{"port_id": cloud.port_id, "state": "wired"}]
    said = cloud.ready()
    assert re.search(rf"READY hostname=agent-vm uuid={cloud.server_id} source=metadata-service addresses=eth0=10.0.0.11/24", said), said

    slow = {"total_bytes_sec": 10_000_000, "total_iops_sec": 50}
    cloud.wish(disks=cloud.volume(limits=slow))
    wait_for(lambda: [seen["state"] for seen in cloud.last().get("disks", [])] == ["present", "present"])
    assert cloud.last()["disks"][1]["limits"] == {**dict.fromkeys(cloud.last()["disks"][1]["limits"], 0), **slow}
    wait_for(lambda: "hotplug add disk" in cloud.console())
    cloud.wish(disks=cloud.volume(limits={}))
    wait_for(lambda: set(cloud.last().get("disks", [{}, {"limits": {"": 1}}])[1]["limits"].values()) == {0})
    cloud.wish(disks=cloud.volume(desired="absent", generation=2))
    wait_for(lambda: [seen["state"] for seen in cloud.last().get("disks", [])] == ["present", "absent"])

    os.kill(qemu_of(cloud.server_id), signal.SIGKILL)
    cloud.ready(2)
    cloud.until("running")

    cloud.wish(desired="absent", generation=2)
    cloud.until("absent")
    cloud.controller.wish()
    life.courier.wake()
    wait_for(lambda: not life.host.namespaces.present().get(cloud.network_id, False) and not namespaces(cloud))
    assert cloud.server_id not in tool("virsh", "list", "--all", "--uuid")
    assert f"tap{cloud.port_id[:11]}" not in tool("ip", "-br", "link") + tool("ovs-vsctl", "list-ports", "br-int")
    assert not cloud.consoles.present()
    assert json.loads(cloud.state.plan_file.read_text())["servers"] == []


def kill_engine(engine: str) -> None:
    """SIGKILL one of the host's daemons; the supervisor starts it again."""
    pid_file = Path(os.environ["WOLKE_TEST_SERVICES"]) / f"{socket.gethostname()}-{engine}" / "supervise" / "pid"
    os.kill(int(pid_file.read_text()), signal.SIGKILL)


def namespaces(cloud: Cloud) -> bool:
    return f"md-{cloud.network_id[:11]}" in tool("ip", "netns", "list")


def test_what_the_guest_did_while_the_agent_was_away_is_told_by_the_next_life(cloud: Cloud) -> None:
    life = cloud.live()
    cloud.wish()
    cloud.until("running")
    cloud.ready()
    life.end()
    cloud.life = None
    cloud.controller.reports.clear()
    tool("virsh", "-q", "shutdown", f"wolke-{cloud.server_id}", "--mode", "acpi")
    wait_for(lambda: tool("virsh", "domstate", cloud.server_id).strip() == "shut off")
    cloud.live()
    entry = cloud.until("stopped")
    assert (entry["shutdown_by_guest"], entry["generation"]) == (True, 1)
    kill_engine("libvirtd")  # it forgets why the domain is off
    cloud.live()
    cloud.controller.reports.clear()
    assert cloud.until("stopped")["shutdown_by_guest"]
    cloud.wish(desired="stopped", generation=2)
    cloud.until("stopped")
    cloud.wish(generation=3, reboots=1)
    cloud.until("running")
    cloud.ready(2)
    cloud.wish(generation=4, reboots=2)
    cloud.until("running")
    assert (cloud.last()["reboots"], cloud.ready(3).count("guest: ACPI power button") >= 2) == (2, True)


def test_a_port_that_ovn_does_not_know_holds_the_guest(cloud: Cloud) -> None:
    cloud.nb("lsp-del", cloud.port_id)
    cloud.live()
    cloud.wish()
    wait_for(lambda: "waiting for OVN" in (cloud.last().get("reason") or ""))
    assert tool("virsh", "domstate", cloud.server_id).strip() == "paused"
    cloud.nb("lsp-add", f"agent-test-{cloud.network_id}", cloud.port_id, "--", "lsp-set-addresses", cloud.port_id, f"{cloud.mac} 10.0.0.11")
    cloud.until("running")
    cloud.wish(desired="absent", generation=2)
    cloud.until("absent")


@pytest.mark.parametrize("engine", ["ovsdb", "vswitchd", "ovn-controller", "libvirtd"])
def test_an_engine_that_dies_holds_up_nothing_for_long(cloud: Cloud, engine: str) -> None:
    cloud.live()
    cloud.wish()
    cloud.until("running")
    qemu = qemu_of(cloud.server_id)
    kill_engine(engine)
    cloud.wish(disks=cloud.volume(limits={"total_iops_sec": 70}), generation=2)
    wait_for(lambda: [seen["state"] for seen in cloud.last().get("disks", [])] == ["present", "present"])
    assert qemu_of(cloud.server_id) == qemu
    cloud.wish(reboots=1, reboot_type="HARD", generation=3)
    entry = cloud.until("running")
    assert entry["nics"][0]["state"] == "wired"
    cloud.wish(desired="absent", generation=4)
    cloud.until("absent")


class Manager(BaseManager):
    """Lets a child reach the controller of its parent."""


def live_in_a_child(folder: str, address: str, ready: Any) -> None:
    Manager.register("controller")
    manager = Manager(address, authkey=b"test")
    manager.connect()
    place = SimpleNamespace(
        controller=manager.controller(),  # type: ignore[attr-defined]
        consoles=FileConsoles(Path(folder) / "console"),
        state=StateDir(folder),
    )
    Life(place)
    ready.set()
    threading.Event().wait()


class Children:
    """Lives of the agent in processes that can be killed."""

    def __init__(self, cloud: Cloud) -> None:
        self.folder = str(cloud.folder)
        self.context = multiprocessing.get_context("spawn")
        Manager.register("controller", callable=lambda: cloud.controller)
        self.address = f"{self.folder}/controller.sock"
        server = Manager(self.address, authkey=b"test").get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.child: Any = None

    def live(self) -> None:
        ready = self.context.Event()
        self.child = self.context.Process(target=live_in_a_child, args=(self.folder, self.address, ready), daemon=True)
        self.child.start()
        assert ready.wait(120)

    def kill(self) -> None:
        self.child.kill()
        self.child.join()


def test_an_agent_killed_at_any_moment_leaves_nothing_that_the_next_life_does_not_put_right(cloud: Cloud) -> None:
    seed = int(os.environ.get("WOLKE_TEST_SEED") or time.time())
    print(f"WOLKE_TEST_SEED={seed}")
    moments = random.Random(seed)
    children = Children(cloud)
    volume = cloud.volume(limits={"total_iops_sec": 70})
    wishes: list[tuple[str, dict[str, Any]]] = [
        ("running", {"disks": volume}),
        ("running", {"disks": volume, "reboots": 1, "reboot_type": "HARD"}),
        ("stopped", {"desired": "stopped", "reboots": 1}),
        ("running", {"disks": cloud.volume(limits={"total_iops_sec": 90}), "reboots": 1}),
        ("running", {"disks": cloud.volume(limits={"total_iops_sec": 50}), "reboots": 2, "reboot_type": "SOFT"}),
        ("absent", {"desired": "absent"}),
    ]
    try:
        for generation, (state, wish) in enumerate(wishes, 1):
            cloud.wish(generation=generation, **wish)
            for _ in range(4):
                children.live()
                time.sleep(moments.uniform(0.0, 1.2))
                children.kill()
            children.live()
            entry = cloud.until(state)
            wait_for(lambda: shown(cloud) == wished(cloud))
            assert entry["shutdown_by_guest"] is False
            children.kill()
        assert cloud.last()["fault"] is None
        assert cloud.server_id not in tool("virsh", "list", "--all", "--uuid")
        assert f"tap{cloud.port_id[:11]}" not in tool("ip", "-br", "link") + tool("ovs-vsctl", "list-ports", "br-int")
        assert f"tap{cloud.port_id[:11]}" not in tool("nft", "list", "table", "netdev", "wolke")
    finally:
        children.kill()


def shown(cloud: Cloud) -> dict[str, int] | None:
    """Each disk that is there, with its limit."""
    return {disk["id"]: disk["limits"]["total_iops_sec"] for disk in cloud.last().get("disks", []) if disk["state"] == "present"}


def wished(cloud: Cloud) -> dict[str, int]:
    wish = cloud.controller.raw["servers"][0]
    return {disk["id"]: disk["limits"].get("total_iops_sec", 0) for disk in wish["disks"]} if wish["desired"] != "absent" else {}
