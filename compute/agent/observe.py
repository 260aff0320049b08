"""Looks at the host's engines, and keeps what this agent has asked of them, for the plan to be a pure function of both."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from compute.agent.document import Document, Server
from compute.agent.observed import NOTHING_ASKED, Asked, Domain, Failure, Observed, Phase, Power
from compute.agent.plan import CRASHES_COUNT_S
from compute.agent.ports import Consoles, Hypervisor, Namespaces, Switch


@dataclass(frozen=True, slots=True)
class Host:
    """The engines of one host."""

    hypervisor: Hypervisor
    switch: Switch
    namespaces: Namespaces
    consoles: Consoles


class Ledger:
    """What was asked of whom and when, and which subjects have an action under way. Safe between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, Asked] = {}
        self._busy: set[str] = set()

    @contextmanager
    def of(self, subject: str) -> Iterator[Asked]:
        """The entry of one subject, to be written to."""
        with self._lock:
            yield self._asked.setdefault(subject, Asked())

    def take(self, subject: str) -> bool:
        """Mark a subject busy; False if it is already."""
        with self._lock:
            if subject in self._busy:
                return False
            self._busy.add(subject)
            return True

    def give_back(self, subject: str) -> None:
        """The subject's actions are over."""
        with self._lock:
            self._busy.discard(subject)

    def failed(self, subject: str, key: tuple[int, ...], message: str, disk: str | None = None) -> None:
        """Note one more failure of what is wished by `key`; of one disk where `disk` is given."""
        with self.of(subject) as asked:
            old = asked.failure if disk is None else asked.disk_failures.get(disk)
            count = old.count + 1 if old is not None and old.key == key else 1
            failure = Failure(count, self._clock(), key, message)
            if disk is None:
                asked.failure = failure
            else:
                asked.disk_failures[disk] = failure

    def snapshot(self) -> tuple[dict[str, Asked], frozenset[str]]:
        """A copy that no one writes to, and the busy subjects."""
        with self._lock:
            return copy.deepcopy(self._asked), frozenset(self._busy)

    def settle(self, desired: Document, observed: Observed, shutdown_s: float) -> None:
        """Forget what the host has answered by now, and note since when a guest waits for its wires."""
        now = self._clock()
        with self._lock:
            for subject in self._asked.keys() - desired.listed - observed.busy:
                del self._asked[subject]
            for server_id in desired.servers.keys() - observed.busy:
                self._settle_one(desired, observed, server_id, now, shutdown_s)
            self._asked = {subject: asked for subject, asked in self._asked.items() if asked != NOTHING_ASKED}

    def _settle_one(self, desired: Document, observed: Observed, server_id: str, now: float, shutdown_s: float) -> None:
        domain = observed.domains.get(server_id)
        waiting = domain is not None and domain.power is Power.PAUSED and domain.mark.phase is Phase.STARTING
        if not waiting and server_id not in self._asked:
            return
        asked = self._asked.setdefault(server_id, Asked())
        asked.paused_at = (asked.paused_at or now) if waiting else None
        _forget_starts(asked, now)
        if _is_over(asked, desired.servers[server_id], domain, now, shutdown_s):
            asked.shutdown_at, asked.shutdown_last = None, 0.0
        _forget_detached(asked, domain)


def _forget_starts(asked: Asked, now: float) -> None:
    asked.started = tuple(at for at in asked.started if at > now - CRASHES_COUNT_S)
    if not asked.started:
        asked.started_for = (0, 0)


def _forget_detached(asked: Asked, domain: Domain | None) -> None:
    live = {disk.id for disk in domain.disks.values() if disk.live} if domain is not None else set()
    for key in [key for key in asked.detach_at if key[0] not in live]:
        asked.detach_at.pop(key, None)
        asked.detach_last.pop(key, None)


def _is_over(asked: Asked, server: Server, domain: Domain | None, now: float, shutdown_s: float) -> bool:
    """Whether a shutdown request has been answered, or was not and is not wished any more."""
    if domain is None or not domain.active:
        return True
    unwished = server.desired == "running" and domain.mark.reboots >= server.reboots
    return unwished and asked.shutdown_at is not None and now > asked.shutdown_at + shutdown_s


def observe(host: Host, ledger: Ledger, desired: Document, shutdown_s: float) -> Observed:
    """The host now, and the ledger brought up to it. Raises EngineAway when an engine does not answer.

    The busy set is read first: what ends in between is then seen half old at the worst, and its end asks for another look.
    """
    _, busy = ledger.snapshot()
    domains = host.hypervisor.domains()
    taps, consoles, namespaces = host.switch.taps(), host.consoles.present(), host.namespaces.present()
    seen = Observed(domains.ours, taps, consoles, namespaces, domains.foreign, {}, busy)
    ledger.settle(desired, seen, shutdown_s)
    asked, _ = ledger.snapshot()
    return replace(seen, asked=asked)
