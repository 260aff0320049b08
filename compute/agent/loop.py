"""The agent's one loop: a wake, an event, a tick or the end of an action → observe → plan → apply → report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from common import metrics
from compute.agent import report
from compute.agent.apply import Applier
from compute.agent.document import Document, Question
from compute.agent.observe import Host, Ledger, observe
from compute.agent.plan import Action, plan
from compute.agent.ports import EngineAway, EngineError
from compute.agent.protocol import Courier

LOG = logging.getLogger(__name__)
RESOURCES_S = 300.0
WATCH_S = 1.0  # while something was asked and has not come about, deadlines are looked at this often


class Agent:
    """Brings one host to its document. Actions of one server run in order, those of several side by side."""

    def __init__(
        self,
        host: Host,
        courier: Courier,
        *,
        clock: Callable[[], float],
        address: str,
        hostname: str,
        shutdown_s: float,
        tick_s: float = 10.0,
        threads: int = 4,
        disk_gib: Callable[[], int] = lambda: 0,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self._host = host
        self._courier = courier
        self._clock = clock
        self._address = address
        self._shutdown_s = shutdown_s
        self._tick_s = tick_s
        self._disk_gib = disk_gib
        self._on_step = on_step
        self._hostname = hostname
        self._ledger = Ledger(clock)
        self._applier = Applier(host, self._ledger, courier.authority, clock)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="apply")
        self._look = threading.Event()
        self._stopped = False
        self._answers: dict[str, dict[str, Any]] = {}
        self._resources: dict[str, Any] = {}
        self._resources_at = 0.0
        host.hypervisor.on_change(lambda _: self.look())
        host.switch.on_change(self.look)

    def look(self) -> None:
        """Something may have changed; look soon."""
        self._look.set()

    def stop(self) -> None:
        """End `run` once the actions in hand are done."""
        self._stopped = True
        self._look.set()

    def run(self) -> None:
        """Look until stopped. Never raises."""
        wait = 0.0
        while not self._stopped:
            self._look.wait(wait)
            self._look.clear()
            if self._stopped:
                break
            try:
                wait = self.step()
                self._on_step()
            except EngineAway as error:
                LOG.warning("the host cannot be looked at: %s", error)
                wait = WATCH_S
            except Exception:  # one bad look must not end the agent
                LOG.exception("a look at the host failed")
                wait = WATCH_S
        self._pool.shutdown(wait=True)

    def step(self) -> float:
        """One look: plan, hand out the actions, report. Returns the seconds until the next look, events aside."""
        desired = self._courier.document
        if desired is None:
            return self._tick_s  # nothing was pulled in this life: nothing is known to be wished
        observed = observe(self._host, self._ledger, desired, self._shutdown_s)
        self._count(report.left_alone(desired, observed))
        authority = self._courier.authority()
        now = self._clock()
        actions = plan(desired, observed, now, authority=authority, shutdown_s=self._shutdown_s)
        self._hand_out(desired, actions)
        self._courier.submit(
            report.make(
                desired,
                observed,
                now,
                authority=authority,
                address=self._address,
                resources=self._seen_resources(),
                answers=self._answer(desired),
            )
        )
        waits = any(asked.waits for asked in observed.asked.values())
        return WATCH_S if waits or actions else self._tick_s

    @staticmethod
    def _count(unknown: list[tuple[str, str]]) -> None:
        for kind in report.KINDS:
            metrics.UNKNOWN.labels(kind).set(sum(kind == found for found, _ in unknown))

    def _hand_out(self, desired: Document, actions: list[Action]) -> None:
        for subject, group in groupby(actions, key=lambda action: action.subject):
            if self._ledger.take(subject):
                self._pool.submit(self._run, desired, subject, list(group))

    def _run(self, desired: Document, subject: str, actions: list[Action]) -> None:
        try:
            self._applier.run(desired, actions)
        finally:
            self._ledger.give_back(subject)
            self.look()

    def _seen_resources(self) -> Mapping[str, Any]:
        now = self._clock()
        if not self._resources or now >= self._resources_at + RESOURCES_S:
            try:
                self._resources = {**self._host.hypervisor.resources(), "hostname": self._hostname}
            except EngineError as error:
                LOG.warning("the host's size is not known yet: %s", error)
                return {}
            self._resources_at = now
        return {**self._resources, "disk_gib": self._disk_gib()}

    def _answer(self, desired: Document) -> list[dict[str, Any]]:
        """Each question is read once, and answered until the document lists it no more."""
        self._answers = {question.id: self._answers.get(question.id) or self._read(question) for question in desired.questions}
        refused = [{"id": key, "output": None, "error": why[: report.NAME_LENGTH]} for key, why in desired.unread["questions"].items()]
        return [*self._answers.values(), *refused]

    def _read(self, question: Question) -> dict[str, Any]:
        if question.kind != "console_output":
            return {"id": question.id, "output": None, "error": f"this agent cannot answer {question.kind!r}"}
        try:
            output = self._host.consoles.tail(question.server_id, question.length)
        except FileNotFoundError:
            output = ""
        except OSError as error:
            return {"id": question.id, "output": None, "error": f"the console log cannot be read: {error}"}
        return {"id": question.id, "output": output, "error": None}
