"""The twin of a hypervisor in memory: domains, guests with a will of their own, taps, namespaces, logs. For tests and simulations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compute.agent.document import Disk, Network, Nic, Server
from compute.agent.limits import Limits
from compute.agent.observed import Domain, Mark, ObservedDisk, Power, Seen, Tap
from compute.agent.ports import EngineAway, EngineError


@dataclass
class Guest:
    """How the software inside behaves."""

    obeys_power_button: bool = True
    lets_go_of_disks: bool = True


@dataclass
class _Machine:
    server: Server
    mark: Mark
    power: Power = Power.OFF
    config: dict[str, Disk] = field(default_factory=dict)
    live: dict[str, Disk] = field(default_factory=dict)
    why: str = ""
    foreign_disks: set[str] = field(default_factory=set)


class MemoryHypervisor:
    """`ports.Hypervisor` in memory. `fail` maps a method's name to the message it raises; `away` is a dead libvirtd.

    `strangers` has the names of domains without our mark by UUID; a machine of that UUID has lost its mark.
    """

    def __init__(self) -> None:
        self.machines: dict[str, _Machine] = {}
        self.guests: dict[str, Guest] = {}
        self.fail: dict[str, str] = {}
        self.away = False
        self.starts: list[str] = []
        self.strangers: dict[str, str] = {}
        self._callback: Callable[[str | None], None] = lambda _: None
        self._lock = threading.RLock()

    def on_change(self, callback: Callable[[str | None], None]) -> None:
        self._callback = callback

    def domains(self) -> Seen:
        self._check("domains")
        with self._lock:
            ours = {key: self._domain(machine) for key, machine in self.machines.items() if key not in self.strangers}
            return Seen(ours, dict(self.strangers))

    def define(self, server: Server, mark: Mark) -> None:
        self._check("define")
        with self._lock:
            old = self.machines.get(server.id)
            if old is not None and old.power in (Power.RUNNING, Power.PAUSED):
                raise EngineError(f"domain {server.id} is active")
            power = old.power if old is not None else Power.OFF
            config = {disk.id: disk for disk in server.present_disks}
            self.machines[server.id] = _Machine(server, mark, power, config)
        self._callback(server.id)

    def start(self, server_id: str) -> None:
        machine = self._machine("start", server_id)
        if machine.power not in (Power.RUNNING, Power.PAUSED):
            machine.power, machine.live, machine.why = Power.PAUSED, dict(machine.config), ""
            self.starts.append(server_id)
        self._callback(server_id)

    def resume(self, server_id: str) -> None:
        self._active("resume", server_id).power = Power.RUNNING
        self._callback(server_id)

    def set_mark(self, server_id: str, mark: Mark) -> None:
        self._machine("set_mark", server_id).mark = mark
        self._callback(server_id)

    def shutdown(self, server_id: str) -> None:
        machine = self._active("shutdown", server_id)
        if machine.power is Power.RUNNING and self.guest(server_id).obeys_power_button:
            self.end(server_id, Power.OFF_BY_GUEST)

    def destroy(self, server_id: str) -> None:
        machine = self._machine("destroy", server_id)
        if machine.power in (Power.RUNNING, Power.PAUSED):
            self.end(server_id, Power.OFF, "destroyed")

    def undefine(self, server_id: str) -> None:
        self._check("undefine")
        machine = self.machines.get(server_id)
        if machine is not None and machine.power in (Power.RUNNING, Power.PAUSED):
            raise EngineError(f"domain {server_id} is active")
        self.machines.pop(server_id, None)
        self._callback(server_id)

    def attach(self, server_id: str, disk: Disk) -> None:
        self._active("attach", server_id).live.setdefault(disk.id, disk)
        self._callback(server_id)

    def detach(self, server_id: str, disk_id: str) -> None:
        machine = self._active("detach", server_id)
        if machine.power is Power.RUNNING and self.guest(server_id).lets_go_of_disks:
            machine.live.pop(disk_id, None)
        self._callback(server_id)

    def set_limits(self, server_id: str, disk_id: str, limits: Limits) -> Limits:
        live = self._active("set_limits", server_id).live
        if disk_id not in live:
            raise EngineError(f"domain {server_id} has no disk {disk_id}")
        conflict = limits.conflict()
        if conflict is not None:
            raise EngineError(conflict)
        live[disk_id] = replace(live[disk_id], limits=limits)
        self._callback(server_id)
        return limits

    def resources(self) -> Mapping[str, Any]:
        self._check("resources")
        return {"vcpus": 4, "memory_mib": 8192, "hypervisor_type": "QEMU", "hypervisor_version": 7002000, "cpu_info": {}}

    # What happens outside of the agent.

    def guest(self, server_id: str) -> Guest:
        """The software inside, to be given another will."""
        return self.guests.setdefault(server_id, Guest())

    def end(self, server_id: str, power: Power, why: str = "") -> None:
        """QEMU is gone: by the guest's own shutdown, or killed."""
        machine = self.machines[server_id]
        machine.power, machine.live, machine.why = power, {}, why
        self._callback(server_id)

    def _check(self, method: str) -> None:
        if self.away:
            raise EngineAway("libvirtd does not answer")
        if method in self.fail:
            raise EngineError(self.fail[method])

    def _machine(self, method: str, server_id: str) -> _Machine:
        self._check(method)
        if server_id not in self.machines:
            raise EngineError(f"there is no domain {server_id}")
        return self.machines[server_id]

    def _active(self, method: str, server_id: str) -> _Machine:
        machine = self._machine(method, server_id)
        if machine.power not in (Power.RUNNING, Power.PAUSED):
            raise EngineError(f"domain {server_id} is not active")
        return machine

    @staticmethod
    def _domain(machine: _Machine) -> Domain:
        active = machine.power in (Power.RUNNING, Power.PAUSED)
        disks = machine.live if active else machine.config
        return Domain(
            id=machine.server.id,
            power=machine.power,
            mark=machine.mark,
            disks={disk.id: ObservedDisk(disk.id, disk.device, disk.limits, active) for disk in disks.values()},
            config_disks=frozenset(machine.config),
            why=machine.why,
            foreign_disks=frozenset(machine.foreign_disks) if active else frozenset(),
        )


class MemorySwitch:
    """`ports.Switch` in memory; with `installs` off, OVN does not bring ports about."""

    def __init__(self) -> None:
        self.ports: dict[str, Tap] = {}
        self.installs = True
        self.fail = ""
        self._callback: Callable[[], None] = lambda: None

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def taps(self) -> Mapping[str, Tap]:
        return dict(self.ports)

    def plug(self, server_id: str, nic: Nic) -> None:
        if self.fail:
            raise EngineError(self.fail)
        self.ports[nic.tap] = Tap(nic.tap, server_id, nic.port_id, self.installs, nic.network_id)
        self._callback()

    def unplug(self, tap: str) -> None:
        self.ports.pop(tap, None)
        self._callback()

    def chassis(self) -> str:
        return "hv-memory"

    def install_all(self) -> None:
        """OVN has come round to every port."""
        self.installs = True
        self.ports = {name: replace(tap, installed=True) for name, tap in self.ports.items()}
        self._callback()


class MemoryNamespaces:
    """`ports.Namespaces` in memory."""

    def __init__(self) -> None:
        self.networks: dict[str, Network | None] = {}

    def present(self) -> Mapping[str, Network | None]:
        return dict(self.networks)

    def add(self, network: Network) -> None:
        self.networks[network.id] = network

    def remove(self, network_id: str) -> None:
        self.networks.pop(network_id, None)


class MemoryConsoles:
    """`ports.Consoles` in memory."""

    def __init__(self) -> None:
        self.logs: dict[str, str] = {}

    def present(self) -> frozenset[str]:
        return frozenset(self.logs)

    def tail(self, server_id: str, lines: int | None) -> str:
        if server_id not in self.logs:
            raise FileNotFoundError(server_id)
        text = self.logs[server_id]
        return text if lines is None else "".join(text.splitlines(keepends=True)[len(text.splitlines()) - lines :])

    def remove(self, server_id: str) -> None:
        self.logs.pop(server_id, None)
