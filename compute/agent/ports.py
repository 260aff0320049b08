"""What the agent needs of the host's engines and of the controller; each has a real form and one in memory, held to the same contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from compute.agent.document import Disk, Network, Nic, Server
from compute.agent.limits import Limits
from compute.agent.observed import Mark, Seen, Tap


class EngineError(Exception):
    """The engine refused or failed; the message is fit for the server's owner."""


class EngineAway(EngineError):
    """The engine's daemon does not answer; it is tried again, and no server is blamed."""


class Refused(Exception):
    """The controller answered, and does not know this life of the agent (a newer one registered, or none)."""


class Unreachable(Exception):
    """The controller gave no answer."""


class Hypervisor(Protocol):
    """Domains. Only those with our metadata element are touched; of others the name is told. All methods may be called from any thread."""

    def on_change(self, callback: Callable[[str | None], None]) -> None:
        """`callback(server id)` after a domain changed, None for all; called from another thread, must not block."""

    def domains(self) -> Seen:
        """Every domain, told in one answer: one that loses its mark is never missing from both halves. Raises EngineAway."""

    def define(self, server: Server, mark: Mark) -> None:
        """Write the configuration of a domain without QEMU, new or anew."""

    def start(self, server_id: str) -> None:
        """Start QEMU, CPUs held; nothing if there is one."""

    def resume(self, server_id: str) -> None:
        """Let the CPUs run."""

    def set_mark(self, server_id: str, mark: Mark) -> None:
        """Write the mark, in QEMU's lifetime and beyond."""

    def shutdown(self, server_id: str) -> None:
        """Press the power button."""

    def destroy(self, server_id: str) -> None:
        """End QEMU; nothing if there is none."""

    def undefine(self, server_id: str) -> None:
        """Remove the configuration; nothing if there is none."""

    def attach(self, server_id: str, disk: Disk) -> None:
        """Plug a disk into the running QEMU; nothing if it is there."""

    def detach(self, server_id: str, disk_id: str) -> None:
        """Ask the guest to let go of a disk; nothing if it is gone. Returns before the guest has answered."""

    def set_limits(self, server_id: str, disk_id: str, limits: Limits) -> Limits:
        """Set a live disk's limits and return those that QEMU then has."""

    def resources(self) -> Mapping[str, Any]:
        """vcpus, memory_mib, hypervisor_type, hypervisor_version, cpu_info. Raises EngineAway."""


class Switch(Protocol):
    """Taps and their place on the integration bridge. All methods may be called from any thread."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback()` after an interface of ours changed; called from another thread, must not block."""

    def taps(self) -> Mapping[str, Tap]:
        """Taps of ours by name. Raises EngineAway."""

    def plug(self, server_id: str, nic: Nic) -> None:
        """Make the tap if need be, fence it, then bring it up and hand it to OVS as the port."""

    def unplug(self, tap: str) -> None:
        """Take the tap from OVS and remove it; nothing if it is gone."""

    def chassis(self) -> str:
        """OVN's name of this host (`system-id`)."""


class Namespaces(Protocol):
    """Namespaces in which a network's metadata answers."""

    def present(self) -> Mapping[str, Network | None]:
        """By network id; None where one is there but not known to be as wished."""

    def add(self, network: Network) -> None:
        """Make it, or bring it to what is wished."""

    def remove(self, network_id: str) -> None:
        """Remove it; nothing if it is gone."""


class Consoles(Protocol):
    """Serial logs."""

    def present(self) -> frozenset[str]:
        """Servers that have one."""

    def tail(self, server_id: str, lines: int | None) -> str:
        """The last `lines`, or all of the last 100 KiB. Raises FileNotFoundError."""

    def remove(self, server_id: str) -> None:
        """Remove it; nothing if it is gone."""


class Controller(Protocol):
    """The controller's side of the protocol. Each raises Unreachable or Refused."""

    def register(self, host_id: str, name: str, public_key: str, stamp: int, signature: str) -> Mapping[str, Any]: ...

    def pull(self, host_id: str, agent_epoch: int, seq: int, digest: str | None, signature: str) -> Mapping[str, Any]: ...

    def report(self, host_id: str, agent_epoch: int, seq: int, body: Mapping[str, Any], signature: str) -> Mapping[str, Any]: ...
