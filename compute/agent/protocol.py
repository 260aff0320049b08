"""The talk with the controller, in a thread of its own, so that a dead bus holds up nothing on the host.

Pull on a wake and on each tick; report what changed, again and again until it is answered. One thread sends both, so `seq` only rises.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

from compute.agent.document import BadDocument, Document, parse
from compute.agent.ports import Controller, Refused, Unreachable
from compute.agent.signing import canonical, sign
from compute.agent.state import Identity

LOG = logging.getLogger(__name__)
AUTHORITY_S = 30.0
REPORT_AGAIN_S = 60.0
BACKOFF_MAX_S = 10.0


class Courier:
    """Registers, pulls and reports. `document` and `authority()` may be read from any thread."""

    def __init__(
        self,
        controller: Controller,
        identity: Identity,
        name: str,
        *,
        clock: Callable[[], float],
        tick_s: float = 10.0,
    ) -> None:
        self._controller = controller
        self._identity = identity
        self._name = name
        self._clock = clock
        self._tick_s = tick_s
        self.on_document: Callable[[Document], None] = lambda _: None  # after each pull, from the courier's thread
        self._condition = threading.Condition()
        self._pull_wanted = True
        self._stopped = False
        self._report: dict[str, Any] | None = None
        self._answered: tuple[bytes, float] | None = None  # the last report that was answered, and when
        self._document: Document | None = None
        self._pulled_at: float | None = None
        self._epoch = 0
        self._seq = 0
        self._failures = 0
        self._next_tick = 0.0

    @property
    def document(self) -> Document | None:
        """The last good answer of this life; None before the first."""
        return self._document

    def authority(self) -> bool:
        """Whether a pull was answered in the last 30 s, counted from before it was sent."""
        pulled_at = self._pulled_at
        return pulled_at is not None and self._clock() < pulled_at + AUTHORITY_S

    def wake(self) -> None:
        """Pull now."""
        with self._condition:
            self._pull_wanted = True
            self._condition.notify()

    def submit(self, body: dict[str, Any]) -> None:
        """Let this be the next report; it replaces one that is not answered yet."""
        with self._condition:
            self._report = body
            if self._report_due():
                self._condition.notify()

    def stop(self) -> None:
        """End `run` soon."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def run(self) -> None:
        """Talk until stopped. Never raises."""
        while self._wait():
            try:
                self.step()
            except Exception:  # a bug in one answer must not end the agent
                LOG.exception("talking to the controller failed")
                self._failures += 1

    def step(self) -> None:
        """One round: register if need be, pull if it is time, report if there is news."""
        try:
            if self._epoch == 0:
                self._register()
            if self._pull_wanted or self._clock() >= self._next_tick:
                self._pull()
            if self._report_due():
                self._send_report()
            self._failures = 0
        except Unreachable as error:
            self._failures += 1
            log = LOG.warning if self._failures in (1, 10) else LOG.debug
            log("the controller does not answer: %s", error)
        except Refused as error:
            self._failures += 1
            self._epoch = 0  # what was said under the old epoch no longer counts
            LOG.error("the controller refused this agent, it registers anew: %s", error)

    def _wait(self) -> bool:
        with self._condition:
            if self._failures:
                delay = min(0.25 * 2.0 ** min(self._failures, 8), BACKOFF_MAX_S) * random.uniform(0.7, 1.0)
                self._condition.wait_for(lambda: self._stopped, delay)
            else:
                left = max(0.0, self._next_tick - self._clock())
                self._condition.wait_for(lambda: self._stopped or self._pull_wanted or self._report_due(), left)
            return not self._stopped

    def _report_due(self) -> bool:
        if self._report is None:
            return False
        if self._answered is None or self._answered[0] != canonical(self._report):
            return True
        return self._clock() >= self._answered[1] + REPORT_AGAIN_S

    def _register(self) -> None:
        me = self._identity
        stamp = me.stamps.next()  # a new one each time: who asks again cannot know whether the last was heard
        signature = sign(me.key, me.host_id, 0, stamp, {"name": self._name, "public_key": me.public_key})
        answer = self._controller.register(me.host_id, self._name, me.public_key, stamp, signature)
        self._epoch, self._seq = int(answer["agent_epoch"]), 0
        self._pull_wanted, self._answered = True, None
        LOG.info("registered host %s, life %d", me.host_id, self._epoch)

    def _pull(self) -> None:
        digest = self._document.digest if self._document is not None else None
        with self._condition:
            self._pull_wanted = False
        asked_at = self._clock()
        self._next_tick = asked_at + self._tick_s
        seq, signature = self._sign(digest)
        try:
            answer = self._controller.pull(self._identity.host_id, self._epoch, seq, digest, signature)
        except Unreachable:
            self._pull_wanted = True
            raise
        if answer.get("unchanged") is not True:
            try:
                document = parse(answer)
            except BadDocument as error:
                LOG.error("the pull's answer is not understood, the last one holds: %s", error)
                return
            _complain(document, self._document)
            self._document = document
        if self._document is None:
            raise Unreachable("it answered `unchanged` to an agent that has nothing")
        self._pulled_at = asked_at
        self.on_document(self._document)

    def _send_report(self) -> None:
        with self._condition:
            body = self._report
        assert body is not None
        seq, signature = self._sign(body)
        answer = self._controller.report(self._identity.host_id, self._epoch, seq, body, signature)
        self._answered = (canonical(body), self._clock())
        if _asks_for_pull(answer):
            self.wake()

    def _sign(self, body: Any) -> tuple[int, str]:
        self._seq += 1
        return self._seq, sign(self._identity.key, self._identity.host_id, self._epoch, self._seq, body)


def _complain(document: Document, before: Document | None) -> None:
    """Name what cannot be read, once: not again with each document that still has it."""
    for noun, found in document.unread.items():
        said = before.unread[noun] if before is not None else {}
        for key, why in found.items():
            if said.get(key) != why:
                LOG.error("%s of the pull's answer: %s is not understood and left as it is: %s", noun, key, why[:1000])


def _asks_for_pull(answer: Mapping[str, Any] | None) -> bool:
    return answer is not None and answer.get("pull") is True
