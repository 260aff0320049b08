"""What a host was seen to have, and what this agent has asked of it; facts only, no rules.

`Mark` is what we write into a domain's metadata element: it outlives the agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from compute.agent.document import Network
from compute.agent.limits import Limits


class Power(Enum):
    """State of a domain, as far as a rule needs it."""

    RUNNING = "running"
    PAUSED = "paused"
    OFF_BY_GUEST = "off by guest"  # a clean shutdown from inside, or after our ACPI request
    OFF = "off"  # destroyed, crashed, failed, lost with its host


class Phase(Enum):
    """How far a start has come. STARTING is written before QEMU exists and left once the guest's CPUs run.

    ENDED is written when the guest has shut itself down: libvirtd forgets why a domain is off when it restarts.
    """

    STARTING = "starting"
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Mark:
    """Which desired state a domain was brought to."""

    epoch: int
    generation: int
    reboots: int
    phase: Phase
    started_at: str = ""


@dataclass(frozen=True, slots=True)
class ObservedDisk:
    """A disk of a domain: in its configuration, in the running QEMU, or both."""

    id: str
    device: str
    limits: Limits
    live: bool


def domain_name(server_id: str) -> str:
    """A server's domain, by the name under which operators see it."""
    return f"wolke-{server_id}"


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain with our metadata element."""

    id: str
    power: Power
    mark: Mark
    disks: Mapping[str, ObservedDisk]
    config_disks: frozenset[str]
    why: str = ""  # the engine's word for the state: "crashed", "I/O error", …
    foreign_disks: frozenset[str] = frozenset()  # devices in the running QEMU that this house did not put there

    @property
    def active(self) -> bool:
        """Whether a QEMU exists."""
        return self.power in (Power.RUNNING, Power.PAUSED)


@dataclass(frozen=True, slots=True)
class Seen:
    """The domains of one look: `ours` by server id, and of those without our mark the names, by UUID. What is in neither is not there."""

    ours: Mapping[str, Domain]
    foreign: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap that we made; `port_id` is the iface-id under which OVS has it, empty when it is not plugged."""

    name: str
    server_id: str
    port_id: str
    installed: bool
    network_id: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that failed: how often in a row, when last, and for which desired state (a newer one is tried at once)."""

    count: int
    at: float
    key: tuple[int, ...]
    message: str


@dataclass(slots=True)
class Asked:
    """What this agent has asked of one server since it came up; seconds of CLOCK_BOOTTIME. Lost with the agent: deadlines then start anew."""

    shutdown_at: float | None = None
    shutdown_last: float = 0.0
    paused_at: float | None = None
    detach_at: dict[tuple[str, int], float] = field(default_factory=dict)  # first request, by disk and generation
    detach_last: dict[tuple[str, int], float] = field(default_factory=dict)
    started_for: tuple[int, int] = (0, 0)  # generation and reboots that the starts below belong to
    started: tuple[float, ...] = ()
    failure: Failure | None = None
    disk_failures: dict[str, Failure] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether the mere passing of time may call for an action or change the report."""
        waiting = self.shutdown_at is not None or self.paused_at is not None or bool(self.detach_at)
        return waiting or self.failure is not None or bool(self.disk_failures) or len(self.started) > 1


NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class Observed:
    """The host at one moment. Nothing is planned for `busy` servers and networks: an action of theirs is under way."""

    domains: Mapping[str, Domain]
    taps: Mapping[str, Tap]
    consoles: frozenset[str] = frozenset()  # servers with a console log on disk
    namespaces: Mapping[str, Network | None] = field(default_factory=dict)  # by network id; None: there, but not as wished
    foreign: Mapping[str, str] = field(default_factory=dict)  # names of domains without our mark, by UUID
    asked: Mapping[str, Asked] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()

    def asked_of(self, subject: str) -> Asked:
        """What was asked of a server or network; never to be written to."""
        return self.asked.get(subject, NOTHING_ASKED)

    def usurper(self, server_id: str) -> str | None:
        """The name of a domain without our mark in this server's place: it has its UUID or its name, and perhaps its QEMU and disks."""
        if server_id in self.domains:
            return None
        name = domain_name(server_id)
        return self.foreign.get(server_id) or (name if name in self.foreign.values() else None)
