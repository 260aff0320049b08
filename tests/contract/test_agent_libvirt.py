"""One contract for both hypervisors: the twin in memory and libvirt with a real QEMU.

The real half uses the last host of devstack, which is started for it where none is up, and boots the guest of `WOLKE_TEST_GUEST` (raw image,
default /var/cache/wolke/guest/guest.raw). It is never skipped: leave it out by name with `-m "not engine"`.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree as ET

import pytest

from compute.agent.consoles import FileConsoles
from compute.agent.document import Disk, Server, parse
from compute.agent.domain_xml import NAMESPACE, Builder
from compute.agent.limits import Limits
from compute.agent.memory import MemoryHypervisor
from compute.agent.observed import Domain, Mark, Phase, Power
from compute.agent.ports import EngineAway, EngineError, Hypervisor
from tests.support.engines import Hypervisor as StackHost
from tests.support.guests import qemu_of
from tests.unit.agent_world import disk, raw_document, server

MARK = Mark(epoch=1, generation=3, reboots=2, phase=Phase.STARTING)
SPEED = Limits(total_bytes_sec=10_000_000, read_iops_sec=50)


class Bench(Protocol):
    """A hypervisor under test, and a hand inside its guests."""

    hypervisor: Hypervisor

    def server(self, *disks: str) -> Server: ...
    def booted(self, server_id: str) -> None: ...
    def kill_qemu(self, server_id: str) -> None: ...
    def stranger(self, name: str) -> None: ...
    def strip(self, server_id: str) -> None: ...
    def plug_stranger(self, server_id: str, device: str) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.memory = MemoryHypervisor()
        self.hypervisor: Hypervisor = self.memory

    def server(self, *disks: str) -> Server:
        return make_server(*disks)

    def booted(self, server_id: str) -> None:
        pass

    def kill_qemu(self, server_id: str) -> None:
        self.memory.end(server_id, Power.OFF, "QEMU died")

    def stranger(self, name: str) -> None:
        self.memory.strangers[str(uuid.uuid4())] = name

    def strip(self, server_id: str) -> None:
        self.memory.strangers[server_id] = f"wolke-{server_id}"

    def plug_stranger(self, server_id: str, device: str) -> None:
        self.memory.machines[server_id].foreign_disks.add(device)

    def close(self) -> None:
        pass


class LibvirtBench:
    def __init__(self, folder: Path, host: StackHost) -> None:
        import libvirt

        from compute.agent.libvirt import LibvirtHypervisor

        uri = host.libvirt_uri
        self.folder = folder
        self.consoles = FileConsoles(folder / "console")
        self.hypervisor: Hypervisor = LibvirtHypervisor(uri, Builder("qemu", self.source, self.consoles.path))
        self.made: list[str] = []
        self.strangers: list[str] = []
        self.other = libvirt.open(uri)

    def source(self, wanted: Disk) -> ET.Element:
        path = self.folder / wanted.image
        if not path.exists():
            if wanted.boot:
                shutil.copy(os.environ.get("WOLKE_TEST_GUEST", "/var/cache/wolke/guest/guest.raw"), path)
            else:
                path.touch()
                os.truncate(path, 64 * 1024 * 1024)
        return ET.Element("source", file=str(path))

    def server(self, *disks: str) -> Server:
        made = make_server(*disks)
        self.made.append(made.id)
        return made

    def booted(self, server_id: str) -> None:
        wait_for(lambda: "guest: READY" in self.consoles.tail(server_id, None), 300)

    def kill_qemu(self, server_id: str) -> None:
        os.kill(qemu_of(server_id), signal.SIGKILL)

    def stranger(self, name: str) -> None:
        """Someone else's domain, defined by another hand."""
        machine = "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
        self.other.defineXML(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory>{machine}</domain>")
        self.strangers.append(name)

    def strip(self, server_id: str) -> None:
        """Take our mark off, in QEMU's lifetime and beyond."""
        self.other.lookupByUUIDString(server_id).setMetadata(2, None, None, NAMESPACE, 3)  # VIR_DOMAIN_METADATA_ELEMENT, live and config

    def plug_stranger(self, server_id: str, device: str) -> None:
        path = self.folder / device
        path.touch()
        os.truncate(path, 1024 * 1024)
        text = f"<disk type='file'><source file='{path}'/><target dev='{device}' bus='virtio'/></disk>"
        self.other.lookupByUUIDString(server_id).attachDeviceFlags(text, 1)  # VIR_DOMAIN_AFFECT_LIVE

    def close(self) -> None:
        for name in self.strangers:
            self.other.lookupByName(name).undefine()
        self.other.close()
        for server_id in self.made:
            if server_id in self.hypervisor.domains().ours:
                self.hypervisor.destroy(server_id)
                self.hypervisor.undefine(server_id)


def make_server(*disks: str) -> Server:
    server_id = str(uuid.uuid4())
    wish = server(
        server_id, name="a <name> with\nany \x01 char", nics=[], disks=[disk("root", image=f"{server_id}-root"), *(disk(i) for i in disks)]
    )
    return parse(raw_document(wish)).servers[server_id]


def wait_for(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


@pytest.fixture(params=["memory", pytest.param("libvirt", marks=pytest.mark.engine)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = MemoryBench() if request.param == "memory" else LibvirtBench(tmp_path, request.getfixturevalue("host"))
    yield bench
    bench.close()


def seen(bench: Bench, server_id: str) -> Domain:
    return bench.hypervisor.domains().ours[server_id]


def run(bench: Bench, wanted: Server) -> str:
    bench.hypervisor.define(wanted, MARK)
    bench.hypervisor.start(wanted.id)
    bench.hypervisor.resume(wanted.id)
    return wanted.id


def test_a_domain_is_defined_started_held_and_resumed_each_step_repeated_safely(bench: Bench) -> None:
    wanted = bench.server("data")
    hypervisor = bench.hypervisor
    assert wanted.id not in hypervisor.domains().ours
    hypervisor.define(wanted, MARK)
    hypervisor.define(wanted, MARK)
    assert (seen(bench, wanted.id).power, seen(bench, wanted.id).mark) == (Power.OFF, MARK)
    assert seen(bench, wanted.id).config_disks == {"root", "data"}
    hypervisor.start(wanted.id)
    hypervisor.start(wanted.id)
    assert seen(bench, wanted.id).power is Power.PAUSED
    hypervisor.resume(wanted.id)
    hypervisor.resume(wanted.id)
    started = replace(MARK, phase=Phase.STARTED, started_at="2026-01-01T00:00:00+00:00")
    hypervisor.set_mark(wanted.id, started)
    assert (seen(bench, wanted.id).power, seen(bench, wanted.id).mark) == (Power.RUNNING, started)
    hypervisor.destroy(wanted.id)
    hypervisor.destroy(wanted.id)
    assert (seen(bench, wanted.id).power, seen(bench, wanted.id).why) == (Power.OFF, "destroyed")
    assert seen(bench, wanted.id).mark == started
    hypervisor.undefine(wanted.id)
    hypervisor.undefine(wanted.id)
    assert wanted.id not in hypervisor.domains().ours


def test_a_disk_is_plugged_limited_and_let_go_by_a_running_guest(bench: Bench) -> None:
    wanted = bench.server()
    hypervisor = bench.hypervisor
    run(bench, wanted)
    bench.booted(wanted.id)
    volume = parse(raw_document(server(disks=[disk(), disk(str(uuid.uuid4()), limits=SPEED.as_dict())]))).servers.popitem()[1].disks[1]  # type: ignore[attr-defined]
    hypervisor.attach(wanted.id, volume)
    hypervisor.attach(wanted.id, volume)
    there = seen(bench, wanted.id).disks[volume.id]
    assert (there.live, there.device, there.limits) == (True, "vdb", SPEED)
    assert volume.id not in seen(bench, wanted.id).config_disks
    faster = Limits(write_bytes_sec=20_000_000, total_iops_sec=500)
    assert hypervisor.set_limits(wanted.id, volume.id, faster) == faster
    assert seen(bench, wanted.id).disks[volume.id].limits == faster
    assert hypervisor.set_limits(wanted.id, volume.id, Limits()) == Limits()
    with pytest.raises(EngineError, match="total_iops_sec=5 cannot stand beside write_iops_sec=6"):
        hypervisor.set_limits(wanted.id, volume.id, Limits(total_iops_sec=5, write_iops_sec=6))
    hypervisor.detach(wanted.id, volume.id)
    wait_for(lambda: volume.id not in seen(bench, wanted.id).disks)
    hypervisor.detach(wanted.id, volume.id)


def test_what_others_made_is_named_and_not_taken_for_ours(bench: Bench) -> None:
    server_id = run(bench, bench.server())
    assert seen(bench, server_id).foreign_disks == frozenset()
    name = f"stranger-{uuid.uuid4()}"
    bench.stranger(name)
    bench.plug_stranger(server_id, "vdz")
    wait_for(lambda: name in bench.hypervisor.domains().foreign.values())
    wait_for(lambda: seen(bench, server_id).foreign_disks == {"vdz"})
    assert list(seen(bench, server_id).disks) == ["root"]
    foreign = bench.hypervisor.domains().foreign
    assert not {server_id, f"wolke-{server_id}"} & {*foreign, *foreign.values()}
    bench.strip(server_id)
    wait_for(lambda: bench.hypervisor.domains().foreign.get(server_id) == f"wolke-{server_id}")
    assert server_id not in bench.hypervisor.domains().ours


def test_a_guest_that_obeys_the_power_button_is_off_by_guest(bench: Bench) -> None:
    server_id = run(bench, bench.server())
    bench.booted(server_id)
    bench.hypervisor.shutdown(server_id)
    wait_for(lambda: seen(bench, server_id).power is Power.OFF_BY_GUEST)
    bench.hypervisor.shutdown(server_id) if isinstance(bench, LibvirtBench) else None


def test_a_killed_qemu_is_off_and_told(bench: Bench) -> None:
    server_id = run(bench, bench.server())
    told: list[str | None] = []
    bench.hypervisor.on_change(told.append)
    bench.kill_qemu(server_id)
    wait_for(lambda: server_id in told)
    wait_for(lambda: seen(bench, server_id).power is Power.OFF)
    assert seen(bench, server_id).why == "QEMU died"


def test_every_change_is_told(bench: Bench) -> None:
    wanted = bench.server()
    told: list[str | None] = []
    bench.hypervisor.on_change(told.append)
    steps: list[Callable[[], None]] = [
        lambda: bench.hypervisor.define(wanted, MARK),
        lambda: bench.hypervisor.start(wanted.id),
        lambda: bench.hypervisor.resume(wanted.id),
        lambda: bench.hypervisor.destroy(wanted.id),
        lambda: bench.hypervisor.undefine(wanted.id),
    ]
    for step in steps:
        told.clear()
        step()
        wait_for(lambda: wanted.id in told)


@pytest.mark.engine
def test_a_dead_libvirtd_is_away_and_its_events_come_again_afterwards(tmp_path: Path, host: StackHost) -> None:
    bench = LibvirtBench(tmp_path, host)
    try:
        server_id = run(bench, bench.server())
        assert seen(bench, server_id).power is Power.RUNNING
        told: list[str | None] = []
        bench.hypervisor.on_change(told.append)
        os.kill(host.libvirtd_pid, signal.SIGKILL)  # the supervisor starts it again
        wait_for(lambda: None in told)

        def back() -> bool:
            try:
                return seen(bench, server_id).power is Power.RUNNING
            except EngineAway:
                return False

        wait_for(back)
        told.clear()
        bench.hypervisor.set_mark(server_id, replace(MARK, generation=4))
        wait_for(lambda: server_id in told)
        bench.kill_qemu(server_id)  # libvirtd, still busy finding its guests again, may not tell of it
        wait_for(lambda: seen(bench, server_id).power is Power.OFF)
    finally:
        bench.close()
