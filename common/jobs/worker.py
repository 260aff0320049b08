"""The worker's threads: claim and run until told to stop; woken, or polling with jitter; ended by a watchdog when wedged."""

from __future__ import annotations

import heapq
import logging
import os
import random
import threading

from common.clock import Deadline, boottime
from common.jobs.kernel import Kernel

LOG = logging.getLogger(__name__)
WEDGED = 70
MARGIN_SECONDS = 3.0


class Worker:
    """`threads` threads that run due jobs of one kernel."""

    def __init__(self, kernel: Kernel, *, threads: int = 4, poll_seconds: float = 3.0) -> None:
        self._kernel, self._poll = kernel, poll_seconds
        self._count = threads
        self._work = threading.Condition()
        self._wakes = 0
        self._stopping = False
        self._leases: dict[int, Deadline] = {}
        self._due: list[float] = []
        kernel.on_wait = self._remember
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads and their watchdog."""
        self._threads = [threading.Thread(target=self._loop, name=f"job-{n}", daemon=True) for n in range(self._count)]
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def wake(self) -> None:
        """There may be work."""
        with self._work:
            self._wakes += 1
            self._work.notify()

    def _remember(self, seconds: float) -> None:
        """A job of ours waits: look again when it is due, not only at the next poll."""
        if seconds < self._poll:
            with self._work:
                heapq.heappush(self._due, boottime() + seconds)

    def _pause(self) -> float:
        """Seconds until the next look; called with the lock held."""
        now = boottime()
        while self._due and self._due[0] <= now:
            heapq.heappop(self._due)
        poll = self._poll * random.uniform(0.7, 1.3)
        return min(poll, self._due[0] - now + 0.005) if self._due else poll

    def stop(self, seconds: float = 25.0) -> None:
        """Finish the steps in hand and end."""
        with self._work:
            self._stopping = True
            self._work.notify_all()
        deadline = Deadline(seconds)
        for thread in self._threads:
            thread.join(deadline.left())

    def _loop(self) -> None:
        me = threading.get_ident()
        while not self._stopping:
            seen = self._wakes
            try:
                found = self._kernel.run_one(lambda lease: self._leases.__setitem__(me, lease))
            except Exception:  # the database is away: the loop goes on, and so does the poll
                LOG.warning("a worker's turn failed", exc_info=True)
                found = False
            finally:
                self._leases.pop(me, None)
            if found:
                self.wake()  # there may be more for a sleeping neighbour
                continue
            with self._work:
                if self._wakes == seen and not self._stopping:
                    self._work.wait(self._pause())

    def _watch(self) -> None:
        """End the process before the lease of a wedged step does: from then on another worker may have the job."""
        while not self._stopping:
            for lease in list(self._leases.values()):
                if lease.left() < MARGIN_SECONDS:
                    LOG.critical("a step has outlasted its lease: this worker ends itself")
                    os._exit(WEDGED)
            threading.Event().wait(1.0)
