"""Bounded pools of threads for work that waits in a fair order: slow hashes, questions to a directory.

A pool is told by its queue who goes next, and who must go when too many wait.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from common.errors import TooManyRequests

Source = tuple[str, str]
T = TypeVar("T")


@dataclass(eq=False)
class Job:
    """Work that waits. source: the client's address and the user; new: nothing good is known of it."""

    source: Source
    work: Callable[[], object]
    new: bool = False
    done: Future[object] = field(default_factory=Future)


class Queue(Protocol):
    """Who waits, and in which order."""

    def put(self, job: Job) -> None:
        """Let it wait."""

    def take(self) -> Job:
        """The next; there is one."""

    def remove(self, job: Job) -> bool:
        """Let it wait no more; whether it did."""

    def give_up(self) -> Job:
        """Take the one to be refused; there is one."""

    def __len__(self) -> int:
        """How many wait."""


class Turns:
    """Each client address has its turn, and of an address each user. Refused is the newest of whoever waits most often."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[str, deque[Job]]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, job: Job) -> None:
        """At the end of its user's row."""
        address, user = job.source
        self._waiting.setdefault(address, OrderedDict()).setdefault(user, deque()).append(job)
        self._count += 1

    def take(self) -> Job:
        """The next in turn; its address and its user go to the end of their rows."""
        address, users = next(iter(self._waiting.items()))
        user, jobs = next(iter(users.items()))
        job = jobs.popleft()
        self._waiting.move_to_end(address)
        users.move_to_end(user)
        self._forget_empty(job.source)
        return job

    def remove(self, job: Job) -> bool:
        """Whether it waited."""
        address, user = job.source
        jobs = self._waiting[address].get(user) if address in self._waiting else None
        if jobs is None or job not in jobs:
            return False
        jobs.remove(job)
        self._forget_empty(job.source)
        return True

    def give_up(self) -> Job:
        """Of equals the last to come: `reversed`, because max() keeps the first that it sees."""
        users = max(self._waiting.values(), key=lambda each: sum(map(len, each.values())))
        job = max(reversed(users.values()), key=len).pop()
        self._forget_empty(job.source)
        return job

    def _forget_empty(self, source: Source) -> None:
        address, user = source
        self._count -= 1
        if not self._waiting[address][user]:
            del self._waiting[address][user]
        if not self._waiting[address]:
            del self._waiting[address]


class KnownAndNew:
    """One who is known, by turns, then one who is new, the newest: neither waits for all of the others.

    A flood of new ones cannot be told from a right one that comes with it; but it has come before him, or waits for answers before it goes on.
    """

    def __init__(self) -> None:
        self._known = Turns()
        self._new: list[Job] = []
        self._was_new = True

    def __len__(self) -> int:
        return len(self._known) + len(self._new)

    def put(self, job: Job) -> None:
        """In its row."""
        if job.new:
            self._new.append(job)
        else:
            self._known.put(job)

    def take(self) -> Job:
        """The next."""
        self._was_new = not len(self._known) or (bool(self._new) and not self._was_new)
        return self._new.pop() if self._was_new else self._known.take()

    def remove(self, job: Job) -> bool:
        """Whether it waited."""
        if not job.new:
            return self._known.remove(job)
        if job not in self._new:
            return False
        self._new.remove(job)
        return True

    def give_up(self) -> Job:
        """Of whom more wait: the oldest of the new ones, of the known as turns have it."""
        return self._new.pop(0) if len(self._new) > len(self._known) else self._known.give_up()


class Pool:
    """`workers` threads, and at most `bound` who wait for them. Never more than `workers` pieces of work run."""

    def __init__(self, workers: int, bound: int, seconds: float = 1.0, queue: Queue | None = None) -> None:
        """seconds: what one piece of work takes, for Retry-After. queue: by turns unless another is given."""
        self._workers, self._bound, self._seconds = workers, bound, seconds
        self._queue: Queue = Turns() if queue is None else queue
        self._running = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def run(self, source: Source, work: Callable[[], T]) -> T:
        """`work()`, in its turn. `source` is the client's address and the user that is asked for. Raises TooManyRequests."""
        return self.submit(source, work).done.result()  # type: ignore[return-value]

    def claim(self) -> bool:
        """Take the place of a thread that nobody waits for, to do the work oneself, which is sooner; then `release` it. Whether there was one."""
        with self._changed:
            free = not len(self._queue) and self._running < self._workers
            self._running += free
            return free

    def release(self) -> None:
        """Give the place back."""
        with self._changed:
            self._running -= 1
            self._changed.notify()

    def submit(self, source: Source, work: Callable[[], object], *, new: bool = False) -> Job:
        """The same without waiting: `done` has what came of it."""
        job = Job(source, work, new)
        with self._changed:
            self._start()
            self._queue.put(job)
            if len(self._queue) > self._bound:
                self._queue.give_up().done.set_exception(self._refusal())
            self._changed.notify()
        return job

    def withdraw(self, job: Job) -> bool:
        """Nobody waits for it any more: if it has not begun, it never will. Whether it had not."""
        with self._changed:
            return self._queue.remove(job)

    def _start(self) -> None:
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=f"pool-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not len(self._queue) or self._running >= self._workers:
                    self._changed.wait()
                self._running += 1
                job = self._queue.take()
            try:
                tell = partial(job.done.set_result, job.work())
            except BaseException as error:
                tell = partial(job.done.set_exception, error)
            self.release()  # before who waited can come again
            tell()

    def _refusal(self) -> TooManyRequests:
        wait = max(1, math.ceil(self._bound * self._seconds / self._workers))
        return TooManyRequests(f"Too many log-ins are waiting. Try again in {wait} s.", headers={"Retry-After": str(wait)})
