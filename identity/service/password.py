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
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import bcrypt

from common.config import CONF
from common.errors import TooManyRequests

PREFIX = "$bcrypt-sha256$"
VERSION = "v=2,t=2b"
SALT_LENGTH = 22
HASH_SECONDS_AT_12 = 0.4
Source = tuple[str, str]
T = TypeVar("T")


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


@dataclass
class _Job:
    source: Source
    work: Callable[[], object]
    done: Future[object]


class HashPool:
    """`workers` threads; of the waiting, each client address has its turn, and of an address each user.

    Over `bound` the newest of whoever waits most often is refused, which may be the newcomer.
    """

    def __init__(self, workers: int, bound: int, seconds: float = 1.0) -> None:
        """seconds: what one hash takes, for Retry-After."""
        self._workers, self._bound, self._seconds = workers, bound, seconds
        self._waiting: OrderedDict[str, OrderedDict[str, deque[_Job]]] = OrderedDict()
        self._count = 0
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def run(self, source: Source, work: Callable[[], T]) -> T:
        """`work()`, in its turn. `source` is the client's address and the user that is asked for. Raises TooManyRequests."""
        job = _Job(source, work, Future())
        with self._changed:
            self._start()
            self._put(job)
            refused = self._give_up_one() if self._count > self._bound else None
            self._changed.notify()
        if refused is not None:
            refused.done.set_exception(self._refusal())
        return job.done.result()  # type: ignore[return-value]

    def _start(self) -> None:
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=f"hash-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _put(self, job: _Job) -> None:
        address, user = job.source
        self._waiting.setdefault(address, OrderedDict()).setdefault(user, deque()).append(job)
        self._count += 1

    def _give_up_one(self) -> _Job:
        users = max(self._waiting.values(), key=lambda each: sum(map(len, each.values())))
        # Of equals the last to come: `reversed`, because max() keeps the first that it sees.
        jobs = max(reversed(users.values()), key=len)
        job = jobs.pop()
        self._forget_empty(job.source)
        return job

    def _take(self) -> _Job:
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
                while not self._count:
                    self._changed.wait()
                job = self._take()
            try:
                job.done.set_result(job.work())
            except BaseException as error:
                job.done.set_exception(error)

    def _refusal(self) -> TooManyRequests:
        wait = max(1, math.ceil(self._bound * self._seconds / self._workers))
        return TooManyRequests(f"Too many log-ins are waiting. Try again in {wait} s.", headers={"Retry-After": str(wait)})


@functools.cache
def pool() -> HashPool:
    """This process's pool, as the options say."""
    workers = CONF.identity.hash_workers or os.cpu_count() or 1
    seconds = HASH_SECONDS_AT_12 * 2.0 ** (CONF.identity.password_hash_rounds - 12)
    return HashPool(workers, CONF.identity.hash_queue, seconds)


def hashed(source: Source, password: str) -> str:
    """The hash of a new password. Raises TooManyRequests."""
    rounds = CONF.identity.password_hash_rounds
    return pool().run(source, lambda: hash_password(password, rounds))


def matches(source: Source, password: str, stored: str | None) -> bool:
    """Whether the password is the stored one; as slow for no stored one. Raises TooManyRequests."""
    return pool().run(source, lambda: verify_password(password, stored))
