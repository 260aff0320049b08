"""Does what was planned, one subject's actions in order; a failure ends the subject's stage and is noted for the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from compute.agent import plan as p
from compute.agent.document import Disk, Document, Server
from compute.agent.observe import Host, Ledger
from compute.agent.observed import Mark
from compute.agent.ports import EngineAway, EngineError

LOG = logging.getLogger(__name__)


class Applier:
    """Runs actions against a host. `authority()` says whether guests may be started at this very moment."""

    def __init__(self, host: Host, ledger: Ledger, authority: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._host = host
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        hypervisor, switch = host.hypervisor, host.switch
        self._do: dict[type[p.Action], Callable[..., None]] = {
            p.Plug: lambda a: switch.plug(a.subject, a.nic),
            p.Unplug: lambda a: switch.unplug(a.tap),
            p.Define: lambda a: hypervisor.define(a.server, a.mark),
            p.Start: self._start,
            p.Resume: self._resume,
            p.SetMark: lambda a: hypervisor.set_mark(a.subject, _dated(a.mark)),
            p.Shutdown: self._shutdown,
            p.Destroy: lambda a: hypervisor.destroy(a.subject),
            p.Undefine: lambda a: hypervisor.undefine(a.subject),
            p.RemoveConsole: lambda a: host.consoles.remove(a.subject),
            p.Attach: lambda a: hypervisor.attach(a.subject, a.disk),
            p.Detach: self._detach,
            p.SetLimits: self._set_limits,
            p.AddNamespace: lambda a: host.namespaces.add(a.network),
            p.RemoveNamespace: lambda a: host.namespaces.remove(a.subject),
        }

    def run(self, desired: Document, actions: Sequence[p.Action]) -> None:
        """Run the actions of one subject. Never raises: what failed is in the ledger, with when it may be tried again."""
        subject = actions[0].subject
        server = desired.servers.get(subject)
        for action in actions:
            disk = getattr(action, "disk", None)
            try:
                self._do[type(action)](action)
            except EngineAway as error:
                LOG.warning("%s of %s waits: %s", type(action).__name__, subject, error)
                return
            except Exception as error:  # one server's trouble must not end the agent
                if not isinstance(error, EngineError):
                    LOG.exception("%s of %s raised", type(action).__name__, subject)
                self._failed(action, server, disk, str(error))
                if disk is None:
                    return
            else:
                LOG.info("%s of %s done", type(action).__name__, subject)
                if disk is not None:
                    with self._ledger.of(subject) as asked:
                        asked.disk_failures.pop(disk.id, None)
        self._succeeded(actions)

    def _failed(self, action: p.Action, server: Server | None, disk: Disk | None, message: str) -> None:
        LOG.error("%s of %s failed: %s", type(action).__name__, action.subject, message)
        if disk is not None:
            self._ledger.failed(action.subject, (disk.generation,), message, disk.id)
        else:
            key = (server.generation, server.reboots) if server is not None else ()
            self._ledger.failed(action.subject, key, message)

    def _succeeded(self, actions: Sequence[p.Action]) -> None:
        """A stage that went through clears the server's fault; but a start that failed at Start is planned from Plug again."""
        if any(not hasattr(action, "disk") for action in actions):
            with self._ledger.of(actions[0].subject) as asked:
                asked.failure = None

    def _start(self, action: p.Start) -> None:
        self._need_authority()
        self._host.hypervisor.start(action.subject)
        with self._ledger.of(action.subject) as asked:
            before = asked.started if asked.started_for == action.key else ()
            asked.started_for, asked.started = action.key, (*before, self._clock())

    def _resume(self, action: p.Resume) -> None:
        self._need_authority()
        self._host.hypervisor.resume(action.subject)
        self._host.hypervisor.set_mark(action.subject, _dated(action.mark))

    def _need_authority(self) -> None:
        if not self._authority():  # the wait for a thread may have outlasted it
            raise EngineAway("the controller has not answered this host for 30 s")

    def _shutdown(self, action: p.Shutdown) -> None:
        with self._ledger.of(action.subject) as asked:
            asked.shutdown_last = self._clock()
            if asked.shutdown_at is None:
                asked.shutdown_at = asked.shutdown_last
        self._host.hypervisor.shutdown(action.subject)

    def _detach(self, action: p.Detach) -> None:
        key = (action.disk.id, action.disk.generation)
        with self._ledger.of(action.subject) as asked:
            asked.detach_last[key] = self._clock()
            asked.detach_at.setdefault(key, asked.detach_last[key])
        self._host.hypervisor.detach(action.subject, action.disk.id)

    def _set_limits(self, action: p.SetLimits) -> None:
        has = self._host.hypervisor.set_limits(action.subject, action.disk.id, action.limits)
        if has != action.limits:
            raise EngineError(f"QEMU has {has.as_dict()} after {action.limits.as_dict()} was set")


def _dated(mark: Mark) -> Mark:
    if mark.started_at:
        return mark
    return replace(mark, started_at=datetime.now(UTC).isoformat(timespec="seconds"))
