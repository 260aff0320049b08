"""What to do next on this host: `plan(desired, observed, now)` is pure, so every rule of a guest's life is a row of a table test.

It plans one stage at a time; what a stage did is observed before the next is planned, so a death between two stages loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compute.agent.document import Disk, Document, Network, Nic, Server
from compute.agent.limits import Limits
from compute.agent.observed import Asked, Domain, Failure, Mark, Observed, ObservedDisk, Phase, Power

WIRE_S = 60.0
SHUTDOWN_S = 60.0
SHUTDOWN_AGAIN_S = 10.0  # a guest that is still booting misses the first request
DETACH_AGAIN_S = 5.0
RETRY_MAX_S = 120.0
CRASHES_COUNT_S = 600.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do to `subject`, a server or a network; actions of one subject run in order."""

    subject: str


@dataclass(frozen=True, slots=True)
class Plug(Action):
    """Make the tap, fence it, hand it to OVS. Repeated safely."""

    nic: Nic


@dataclass(frozen=True, slots=True)
class Unplug(Action):
    """Take the tap from OVS and remove it."""

    tap: str


@dataclass(frozen=True, slots=True)
class Define(Action):
    """Write the domain's configuration; the domain has no QEMU."""

    server: Server
    mark: Mark


@dataclass(frozen=True, slots=True)
class Start(Action):
    """Start QEMU with its CPUs held. Needs authority."""

    key: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Resume(Action):
    """Let the CPUs run, then write the mark. Needs authority."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class SetMark(Action):
    """Write the mark of a domain that is as desired."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class Shutdown(Action):
    """Press the guest's power button."""


@dataclass(frozen=True, slots=True)
class Destroy(Action):
    """End the domain's QEMU; its configuration stays."""


@dataclass(frozen=True, slots=True)
class Undefine(Action):
    """Remove the configuration of a domain without QEMU."""


@dataclass(frozen=True, slots=True)
class RemoveConsole(Action):
    """Remove the console log."""


@dataclass(frozen=True, slots=True)
class Attach(Action):
    """Plug a disk into the running QEMU."""

    disk: Disk


@dataclass(frozen=True, slots=True)
class Detach(Action):
    """Ask the guest to let go of a disk."""

    disk: Disk


@dataclass(frozen=True, slots=True)
class SetLimits(Action):
    """Change what a disk of the running QEMU may do, and read it back."""

    disk: Disk
    limits: Limits


@dataclass(frozen=True, slots=True)
class AddNamespace(Action):
    """Make a network's metadata namespace, or bring it to what is wished."""

    network: Network


@dataclass(frozen=True, slots=True)
class RemoveNamespace(Action):
    """Remove a metadata namespace that no guest here needs; it holds nothing."""


def plan(desired: Document, observed: Observed, now: float, *, authority: bool, shutdown_s: float = SHUTDOWN_S) -> list[Action]:
    """The next actions, in order within each subject.

    `now` is CLOCK_BOOTTIME in seconds. Without `authority` (no pull for 30 s) nothing is started, resumed, stopped or removed.
    Domains that the document does not list are never touched, nor is what it lists in a way that cannot be read.
    """
    actions: list[Action] = []
    for server in desired.servers.values():
        if server.id not in observed.busy:
            actions += _Rules(desired, server, observed, now, authority, shutdown_s).actions()
    actions += _namespaces(desired, observed, now)
    return actions


def retry_due(failure: Failure | None, key: tuple[int, ...], now: float) -> bool:
    """Whether what failed may be tried (again): at once for a newer desired state, else after 2, 4, 8 … 120 s."""
    if failure is None or failure.key != key:
        return True
    return now >= failure.at + min(2.0**failure.count, RETRY_MAX_S)


def start_due(asked: Asked, key: tuple[int, int], now: float) -> bool:
    """Whether a guest may be started: the second time at once, then ever later while its QEMU keeps dying under the same wish."""
    if asked.started_for != key or len(asked.started) < 2:
        return True
    return now >= asked.started[-1] + min(2.0 ** len(asked.started), RETRY_MAX_S)


def is_stale(epoch: int, server: Server, domain: Domain | None) -> bool:
    """Whether the domain was already brought to something newer than this row (a database that went back in time)."""
    return domain is not None and (epoch, server.generation) < (domain.mark.epoch, domain.mark.generation)


def guest_ended_it(epoch: int, server: Server, domain: Domain | None) -> bool:
    """Whether the guest shut itself down while it was wished to run: it stays off, and the report says so."""
    return (
        domain is not None
        and server.desired == "running"
        and not domain.active
        and (domain.mark.phase is Phase.ENDED or (domain.power is Power.OFF_BY_GUEST and domain.mark.phase is Phase.STARTED))
        and domain.mark.reboots >= server.reboots
        and (domain.mark.epoch, domain.mark.generation) >= (epoch, server.generation)
    )


def unwired(server: Server, observed: Observed) -> list[Nic]:
    """NICs whose port OVN has not installed on this host."""
    return [nic for nic in server.nics if not _is_plugged(nic, observed) or not observed.taps[nic.tap].installed]


def detach_refused(disk: Disk, live: ObservedDisk | None, asked: Asked, now: float) -> bool:
    """Whether the guest has kept a disk past the deadline for letting go."""
    first = asked.detach_at.get((disk.id, disk.generation))
    return not disk.present and live is not None and first is not None and now > first + disk.detach_deadline_s


def _is_plugged(nic: Nic, observed: Observed) -> bool:
    tap = observed.taps.get(nic.tap)
    return tap is not None and tap.port_id == nic.port_id


def _namespaces(desired: Document, observed: Observed, now: float) -> Iterator[Action]:
    for network in desired.networks.values():
        if observed.namespaces.get(network.id) == network or network.id in observed.busy:
            continue
        if retry_due(observed.asked_of(network.id).failure, (), now):
            yield AddNamespace(network.id, network)
    needed = {nic.network_id for server in desired.servers.values() for nic in server.nics}
    needed |= {tap.network_id for tap in observed.taps.values()}  # of a guest in quarantine as well
    for network_id in observed.namespaces.keys() - desired.listed - needed - observed.busy:
        yield RemoveNamespace(network_id)


class _Rules:
    """The rules for one server at one moment."""

    def __init__(self, desired: Document, server: Server, observed: Observed, now: float, authority: bool, shutdown_s: float) -> None:
        self.epoch = desired.epoch
        self.server = server
        self.observed = observed
        self.domain = observed.domains.get(server.id)
        self.asked = observed.asked_of(server.id)
        self.now = now
        self.authority = authority
        self.shutdown_s = shutdown_s

    def actions(self) -> list[Action]:
        if is_stale(self.epoch, self.server, self.domain) or self.observed.usurper(self.server.id):
            return []
        if not retry_due(self.asked.failure, (self.server.generation, self.server.reboots), self.now):
            return []
        rule = {"absent": self._absent, "stopped": self._stopped, "running": self._running}[self.server.desired]
        return list(rule())

    def _absent(self) -> Iterator[Action]:
        if not self.authority:
            return
        if self.domain is not None and self.domain.active:
            yield Destroy(self.server.id)
            return
        yield from self._unplug()
        if self.server.id in self.observed.consoles:
            yield RemoveConsole(self.server.id)
        if self.domain is not None:
            yield Undefine(self.server.id)

    def _unplug(self) -> Iterator[Action]:
        for tap in self.observed.taps.values():
            if tap.server_id == self.server.id:
                yield Unplug(self.server.id, tap.name)

    def _stopped(self) -> Iterator[Action]:
        if not self.authority:
            return
        if self.domain is not None and self.domain.active:
            yield from self._end(self.domain)
            return
        yield from self._unplug()
        if self.server.startable and not self._configured():
            yield Define(self.server.id, self.server, self._mark(Phase.STARTED))

    def _configured(self) -> bool:
        wanted = {disk.id for disk in self.server.present_disks}
        return self.domain is not None and self.domain.config_disks == wanted and self._is_current(self.domain)

    def _running(self) -> Iterator[Action]:
        domain = self.domain
        if domain is None or not domain.active:
            yield from self._start(domain)
        elif domain.power is Power.PAUSED:
            yield from self._paused(domain)
        elif domain.mark.reboots < self.server.reboots:
            yield from self._reboot(domain)
        else:
            yield from self._settled(domain)

    def _start(self, domain: Domain | None) -> Iterator[Action]:
        if domain is not None and guest_ended_it(self.epoch, self.server, domain):
            if domain.mark.phase is not Phase.ENDED:
                yield SetMark(self.server.id, replace(domain.mark, phase=Phase.ENDED))
            return
        if not (self.authority and self.server.startable):
            return
        if not start_due(self.asked, (self.server.generation, self.server.reboots), self.now):
            return
        for nic in self.server.nics:
            if not _is_plugged(nic, self.observed):
                yield Plug(self.server.id, nic)
        yield Define(self.server.id, self.server, self._mark(Phase.STARTING))
        yield Start(self.server.id, (self.server.generation, self.server.reboots))

    def _paused(self, domain: Domain) -> Iterator[Action]:
        if domain.mark.phase is not Phase.STARTING:  # an I/O error or an operator holds it; only a reboot ends that
            if domain.mark.reboots >= self.server.reboots:
                yield from self._disks(domain)
            elif self.authority:
                yield Destroy(self.server.id)
            return
        for nic in unwired(self.server, self.observed):
            if not _is_plugged(nic, self.observed):
                yield Plug(self.server.id, nic)
        if self.authority and not unwired(self.server, self.observed):
            yield Resume(self.server.id, self._mark(Phase.STARTED))

    def _reboot(self, domain: Domain) -> Iterator[Action]:
        if not self.authority:
            return
        if self.server.reboot_type == "HARD":
            yield Destroy(self.server.id)
        else:
            yield from self._end(domain)

    def _end(self, domain: Domain) -> Iterator[Action]:
        """Shut down; past the deadline, or where no CPU runs to hear it, destroy."""
        asked_at = self.asked.shutdown_at
        if domain.power is Power.PAUSED or (asked_at is not None and self.now >= asked_at + self.shutdown_s):
            yield Destroy(self.server.id)
        elif asked_at is None or self.now >= self.asked.shutdown_last + SHUTDOWN_AGAIN_S:
            yield Shutdown(self.server.id)

    def _settled(self, domain: Domain) -> Iterator[Action]:
        # After a shutdown request that is not wished any more the guest may still go down: the old mark then says "start it again".
        if self.asked.shutdown_at is None and (not self._is_current(domain) or domain.mark.phase is not Phase.STARTED):
            yield SetMark(self.server.id, self._mark(Phase.STARTED, domain.mark.started_at))
        for nic in self.server.nics:
            tap = self.observed.taps.get(nic.tap)
            if tap is not None and tap.port_id != nic.port_id:
                yield Plug(self.server.id, nic)
        yield from self._disks(domain)

    def _disks(self, domain: Domain) -> Iterator[Action]:
        """Bring the disks of a QEMU to the wish, held or not; a guest that is held lets go of none and comes to its deadline."""
        for disk in self.server.disks:
            if retry_due(self.asked.disk_failures.get(disk.id), (disk.generation,), self.now):
                yield from self._disk(disk, domain.disks.get(disk.id))

    def _disk(self, disk: Disk, seen: ObservedDisk | None) -> Iterator[Action]:
        live = seen if seen is not None and seen.live else None
        if live is not None and disk.present and live.limits != disk.limits:
            yield SetLimits(self.server.id, disk, disk.limits)
        if self.authority and disk.present is (live is None):
            yield from self._move(disk)

    def _move(self, disk: Disk) -> Iterator[Action]:
        if disk.present:
            if self.server.startable:
                yield Attach(self.server.id, disk)
        elif self._detach_due(disk):
            yield Detach(self.server.id, disk)

    def _detach_due(self, disk: Disk) -> bool:
        key = (disk.id, disk.generation)
        first = self.asked.detach_at.get(key)
        if first is None:
            return True
        return self.now <= first + disk.detach_deadline_s and self.now >= self.asked.detach_last[key] + DETACH_AGAIN_S

    def _mark(self, phase: Phase, started_at: str = "") -> Mark:
        return Mark(self.epoch, self.server.generation, self.server.reboots, phase, started_at)

    def _is_current(self, domain: Domain) -> bool:
        return (domain.mark.epoch, domain.mark.generation) == (self.epoch, self.server.generation)
