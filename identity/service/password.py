"""Slow hashes for the secrets that people choose, and the bounded pool of threads in which alone they are computed.

No caller holds a transaction while it waits here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TypeVar

import bcrypt

from common.clock import Deadline
from common.config import CONF
from common.errors import TooManyRequests
from identity.service.reputation import Reputation

PREFIX = "$bcrypt-sha256$"
VERSION = "v=2,t=2b"
SALT_LENGTH = 22
HASH_SECONDS_AT_12 = 0.4
Source = tuple[str, str]
T = TypeVar("T")
# After how many times what a hash takes a log-in over the bound is told so, and how many may wait for that; the others are told at once.
PATIENCE, ROOM = 6, 128
_ROOM = threading.Semaphore(ROOM)
REPUTATION = Reputation()


def hash_password(password: str, rounds: int) -> str:
    """`password` hashed as `$bcrypt-sha256$v=2,t=2b,r=12$salt$checksum`, the form that Keystone can use as well.

    bcrypt reads 72 bytes and stops at a NUL; the SHA-256 before it takes in the whole, whatever its length.
    """
    salt = bcrypt.gensalt(rounds).decode()[-SALT_LENGTH:]
    return f"{PREFIX}{VERSION},r={rounds}${salt}${_checksum(password, rounds, salt)}"


def verify_password(password: str, stored: str | None) -> bool:
    """Whether `stored` was made from `password`; with no stored hash the same time goes by, and the answer is no."""
    head, salt, checksum = (stored or _nobody(CONF.identity.password_hash_rounds)).removeprefix(PREFIX).split("$")
    rounds = int(head.rpartition("r=")[2])
    same = hmac.compare_digest(_checksum(password, rounds, salt), checksum)
    return same and stored is not None


def _checksum(password: str, rounds: int, salt: str) -> str:
    digest = hmac.new(salt.encode(), password.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return bcrypt.hashpw(base64.b64encode(digest), f"$2b${rounds:02d}${salt}".encode()).decode()[-31:]


@functools.cache
def _nobody(rounds: int) -> str:
    """What is compared where there is no password: a checksum that no password has been tried for."""
    return f"{PREFIX}{VERSION},r={rounds}${bcrypt.gensalt(rounds).decode()[-SALT_LENGTH:]}${'.' * 31}"


@dataclass(eq=False)
class Job:
    """Work that waits for its turn. at_once: a thread was free for it."""

    source: Source
    work: Callable[[], object]
    done: Future[object]
    at_once: bool


class HashPool:
    """`workers` threads; of the waiting, each client address has its turn, and of an address each user.

    Over `bound` the newest of whoever waits most often is refused, which may be the newcomer.
    """

    def __init__(self, workers: int, bound: int, seconds: float = 1.0) -> None:
        """seconds: what one hash takes, for Retry-After."""
        self._workers, self._bound, self._seconds = workers, bound, seconds
        self._waiting: OrderedDict[str, OrderedDict[str, deque[Job]]] = OrderedDict()
        self._count = self._idle = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def run(self, source: Source, work: Callable[[], T]) -> T:
        """`work()`, in its turn. `source` is the client's address and the user that is asked for. Raises TooManyRequests."""
        return self.submit(source, work).done.result()  # type: ignore[return-value]

    def submit(self, source: Source, work: Callable[[], object]) -> Job:
        """The same without waiting: `done` has what came of it."""
        with self._changed:
            self._start()
            job = Job(source, work, Future(), at_once=self._idle > self._count)
            self._put(job)
            refused = self._give_up_one() if self._count > self._bound else None
            self._changed.notify()
        if refused is not None:
            refused.done.set_exception(self._refusal())
        return job

    def withdraw(self, job: Job) -> None:
        """Nobody waits for it any more: if it has not begun, it never will."""
        address, user = job.source
        with self._changed:
            jobs = self._waiting[address].get(user) if address in self._waiting else None
            if jobs is not None and job in jobs:
                jobs.remove(job)
                self._forget_empty(job.source)

    def _start(self) -> None:
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=f"hash-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _put(self, job: Job) -> None:
        address, user = job.source
        self._waiting.setdefault(address, OrderedDict()).setdefault(user, deque()).append(job)
        self._count += 1

    def _give_up_one(self) -> Job:
        users = max(self._waiting.values(), key=lambda each: sum(map(len, each.values())))
        # Of equals the last to come: `reversed`, because max() keeps the first that it sees.
        jobs = max(reversed(users.values()), key=len)
        job = jobs.pop()
        self._forget_empty(job.source)
        return job

    def _take(self) -> Job:
        """The next in turn; its address and its user go to the end of their rows."""
        address, users = next(iter(self._waiting.items()))
        user, jobs = next(iter(users.items()))
        job = jobs.popleft()
        self._waiting.move_to_end(address)
        users.move_to_end(user)
        self._forget_empty(job.source)
        return job

    def _forget_empty(self, source: Source) -> None:
        address, user = source
        self._count -= 1
        if not self._waiting[address][user]:
            del self._waiting[address][user]
        if not self._waiting[address]:
            del self._waiting[address]

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._count:
                    self._changed.wait()
                self._idle -= 1
                job = self._take()
            try:
                job.done.set_result(job.work())
            except BaseException as error:
                job.done.set_exception(error)

    def _refusal(self) -> TooManyRequests:
        wait = max(1, math.ceil(self._bound * self._seconds / self._workers))
        return TooManyRequests(f"Too many log-ins are waiting. Try again in {wait} s.", headers={"Retry-After": str(wait)})


def _workers() -> int:
    return int(CONF.identity.hash_workers) or os.cpu_count() or 1


def hash_seconds() -> float:
    """What one hash takes, about."""
    return float(HASH_SECONDS_AT_12 * 2.0 ** (CONF.identity.password_hash_rounds - 12))


def _made(workers: int) -> HashPool:
    return HashPool(workers, CONF.identity.hash_queue, hash_seconds())


@functools.cache
def pool() -> HashPool:
    """This process's pool, as the options say: the half of the threads in which whoever comes is compared."""
    return _made(_workers() - _workers() // 2)


@functools.cache
def first() -> HashPool:
    """The other half, for those who deserve it (`identity.service.reputation`) and for new passwords of who is logged in."""
    return _made(max(1, _workers() // 2))


def hashed(source: Source, password: str) -> str:
    """The hash of a new password. Raises TooManyRequests."""
    rounds = CONF.identity.password_hash_rounds
    return first().run(source, lambda: hash_password(password, rounds))


def repeats(source: Source, password: str, old: str) -> bool:
    """Whether a new password is an old one. Raises TooManyRequests."""
    return first().run(source, lambda: verify_password(password, old))


def matches(source: Source, password: str, stored: str | None, user_id: str | None = None) -> bool:
    """Whether the password is the stored one; as slow for no stored one. Raises TooManyRequests.

    user_id: of a user who may be let in now, if it is; then a right password is told in the first lane, where the user may have it. A wrong one is
    always told when the common lane has compared it, and so at the same time as an invented user's.
    """

    def work() -> bool:
        return verify_password(password, stored)

    deadline = Deadline(PATIENCE * hash_seconds())
    common = pool().submit(source, work)
    lane = None if common.at_once or user_id is None else REPUTATION.lane(source[0], user_id)
    early = first().submit(lane, work) if lane is not None else None
    try:
        right = _said(common, early, deadline)
    finally:
        pool().withdraw(common)
        if early is not None:
            first().withdraw(early)
    if user_id is not None:
        REPUTATION.note(source[0], user_id, charged=lane is not None, right=right)
    return right


def _said(common: Job, early: Job | None, deadline: Deadline) -> bool:
    """What the common lane says, or the first one's yes before that. Raises TooManyRequests, later than the refusal came."""
    if early is not None:
        wait((common.done, early.done), return_when=FIRST_COMPLETED)
        if _yes(early):
            return True
    try:
        return bool(common.done.result())
    except TooManyRequests:
        if _saved(early, deadline):
            return True
        raise


def _saved(early: Job | None, deadline: Deadline) -> bool:
    """Whether the first lane says yes before the deadline. Who has nothing in it waits as long, where there is room to wait."""
    if not _ROOM.acquire(blocking=False):
        return False
    try:
        if early is not None:
            wait((early.done,), timeout=deadline.left())
            if _yes(early):
                return True
        time.sleep(deadline.left())
        return False
    finally:
        _ROOM.release()


def _yes(job: Job) -> bool:
    return job.done.done() and job.done.exception() is None and job.done.result() is True
