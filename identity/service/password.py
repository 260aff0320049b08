"""Slow hashes for the secrets that people choose, and the two lanes in whose bounds alone they are computed.

No caller holds a transaction while it waits here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait

import bcrypt

from common.clock import Deadline
from common.config import CONF
from common.errors import TooManyRequests
from identity.service.pool import Job, KnownAndNew, Pool, Source
from identity.service.reputation import Reputation, Standing

PREFIX = "$bcrypt-sha256$"
VERSION = "v=2,t=2b"
SALT_LENGTH = 22
HASH_SECONDS_AT_12 = 0.4
# After how many times what a hash takes a log-in over the bound is told so, and how many may wait for that; the others are told at once.
PATIENCE, ROOM = 6, 256
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


def _workers() -> int:
    return int(CONF.identity.hash_workers) or os.cpu_count() or 1


def hash_seconds() -> float:
    """What one hash takes, about."""
    return float(HASH_SECONDS_AT_12 * 2.0 ** (CONF.identity.password_hash_rounds - 12))


@functools.cache
def common() -> Pool:
    """This process's common lane, as the options say: the half of the threads in which whoever comes is compared."""
    return Pool(_workers() - _workers() // 2, CONF.identity.hash_queue, hash_seconds())


@functools.cache
def first() -> Pool:
    """The other half, for those who deserve it (`identity.service.reputation`) and for new passwords of who is logged in."""
    return Pool(max(1, _workers() // 2), CONF.identity.hash_queue, hash_seconds(), KnownAndNew())


def hashed(source: Source, password: str) -> str:
    """The hash of a new password. Raises TooManyRequests."""
    rounds = CONF.identity.password_hash_rounds
    return first().run(source, lambda: hash_password(password, rounds))


def repeats(source: Source, password: str, old: str) -> bool:
    """Whether a new password is an old one. Raises TooManyRequests."""
    return first().run(source, lambda: verify_password(password, old))


class Wrong(TooManyRequests):
    """The refusal of an attempt whose password was compared and is wrong. It counts as one; nobody is told."""


def matches(source: Source, password: str, stored: str | None, user_id: str | None = None) -> bool:
    """Whether the password is the stored one; as slow for no stored one. Raises TooManyRequests, Wrong.

    user_id: of a user who may be let in now, if it is; then a right password is told in the first lane, where the user may have it. A wrong one is
    always told when the common lane has compared it, and so at the same time as an invented user's.
    """

    def work() -> bool:
        return verify_password(password, stored)

    if common().claim():
        try:
            right = work()
        finally:
            common().release()
        if user_id is not None:
            _remember((source[0], user_id), None, right)
        return right
    return _in_turn(source, user_id, work)


def _in_turn(source: Source, user_id: str | None, work: Callable[[], bool]) -> bool:
    """Where others wait."""
    deadline = Deadline(PATIENCE * hash_seconds())
    place = common().submit(source, work)
    early = None if user_id is None else _in_first(source[0], user_id, work)
    right: bool | None = None
    try:
        right = _said(place, early, deadline)
    finally:
        common().withdraw(place)
        if user_id is not None:
            _remember((source[0], user_id), early, right)
    return right


def _remember(who: Source, early: Job | None, right: bool | None) -> None:
    """What came of an attempt. right: what was told, None for a refusal.

    A try that was given up over the lane's bound is not forgiven: a flood for users that there are would come back with each of them at once.
    """
    waited = early is not None and first().withdraw(early)
    if right is not None or _says(early, yes=False):
        REPUTATION.note(*who, right=bool(right))
    elif early is not None and early.new and waited:
        REPUTATION.forgive(who[1])


def _in_first(address: str, user_id: str, work: Callable[[], bool]) -> Job | None:
    """The same work in the first lane, where the user may have it."""
    standing = REPUTATION.ask(address, user_id)
    if standing is Standing.TRIED:
        return None
    return first().submit((f"{address} {user_id}", user_id), work, new=standing is Standing.NEW)


def _said(place: Job, early: Job | None, deadline: Deadline) -> bool:
    """What the common lane says, or the first one's yes before that. Raises TooManyRequests and Wrong, later than the refusal came."""
    if early is not None:
        wait((place.done, early.done), return_when=FIRST_COMPLETED)
        if _says(early, yes=True):
            return True
    try:
        return bool(place.done.result())
    except TooManyRequests as refusal:
        if _saved(early, deadline):
            return True
        if _says(early, yes=False):
            raise Wrong(refusal.message, headers=refusal.headers) from None
        raise


def _saved(early: Job | None, deadline: Deadline) -> bool:
    """Whether the first lane says yes before the deadline. Who has nothing in it waits as long, where there is room to wait."""
    if not _ROOM.acquire(blocking=False):
        return False
    try:
        if early is not None:
            wait((early.done,), timeout=deadline.left())
            if _says(early, yes=True):
                return True
        time.sleep(deadline.left())
        return False
    finally:
        _ROOM.release()


def _says(job: Job | None, *, yes: bool) -> bool:
    return job is not None and job.done.done() and job.done.exception() is None and job.done.result() is yes
