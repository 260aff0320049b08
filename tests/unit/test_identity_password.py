"""Password hashes and the pool in which they are computed: nothing is cut off, turns are fair, the bound holds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.config import CONF
from common.errors import TooManyRequests
from identity.service.password import HashPool, hash_password, verify_password

# Made by passlib 1.7.4: bcrypt_sha256.using(rounds=4).hash("secret"), as Keystone stores it.
FORM = "$bcrypt-sha256$v=2,t=2b,r=4$"


def test_the_form():
    stored = hash_password("secret", 4)
    assert stored.startswith(FORM)
    assert len(stored) == len(FORM) + 22 + 1 + 31
    assert verify_password("secret", stored)
    assert not verify_password("secret ", stored)
    assert hash_password("secret", 4) != stored


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_another_password_never_matches(one, other):
    stored = hash_password(one, 4)
    assert verify_password(one, stored)
    assert verify_password(other, stored) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [("x" * 72, "x" * 73), ("x" * 4096, "x" * 4095), ("a\x00b", "a\x00c"), ("a\x00b", "a"), ("", "\x00")]
)
def test_nothing_is_cut_off(one, other):
    assert not verify_password(other, hash_password(one, 4))


def test_no_password_takes_as_long_as_a_wrong_one():
    CONF.set_override("password_hash_rounds", 8, "identity")
    try:
        stored = hash_password("secret", 8)

        def seconds(hashed):
            took = []
            for _ in range(15):
                start = time.thread_time()  # others may load the machine meanwhile
                assert not verify_password("wrong", hashed)
                took.append(time.thread_time() - start)
            return min(took)

        assert seconds(None) == pytest.approx(seconds(stored), rel=0.2)
    finally:
        CONF.clear_override("password_hash_rounds", "identity")


class Gate:
    """Work that waits until it is let through, and notes its turn."""

    def __init__(self) -> None:
        self.open, self.turns, self.started = threading.Event(), [], threading.Semaphore(0)

    def work(self, name):
        def run():
            self.started.release()
            assert self.open.wait(10)
            self.turns.append(name)
            return name

        return run


def waiting(pool: HashPool) -> int:
    return pool._count


def until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")


def ask(pool, threads, gate, source, name):
    """Submit, and wait until the pool has it, so that the order is known."""
    before = waiting(pool)
    future = threads.submit(pool.run, source, gate.work(name))
    until(lambda: waiting(pool) == before + 1 or future.done())
    return future


def test_each_address_has_its_turn_and_of_it_each_user():
    pool, gate = HashPool(1, 50), Gate()
    with ThreadPoolExecutor(30) as threads:
        threads.submit(pool.run, ("z", "z"), gate.work("busy"))
        assert gate.started.acquire(timeout=10)
        for index in range(6):
            ask(pool, threads, gate, ("evil", f"user{index % 2}"), f"evil{index % 2}.{index}")
        ask(pool, threads, gate, ("good", "ann"), "ann")
        ask(pool, threads, gate, ("good", "bob"), "bob")
        gate.open.set()
    assert gate.turns == ["busy", "evil0.0", "ann", "evil1.1", "bob", "evil0.2", "evil1.3", "evil0.4", "evil1.5"]


def test_over_the_bound_the_greediest_is_refused_not_the_newcomer():
    pool, gate = HashPool(1, 4), Gate()
    with ThreadPoolExecutor(30) as threads:
        busy = threads.submit(pool.run, ("z", "z"), gate.work("busy"))
        assert gate.started.acquire(timeout=10)
        greedy = [ask(pool, threads, gate, ("evil", "x"), f"evil{index}") for index in range(4)]
        refused = threads.submit(pool.run, ("evil", "x"), gate.work("more"))
        with pytest.raises(TooManyRequests) as found:
            refused.result(10)
        assert int(found.value.headers["Retry-After"]) >= 1
        good = threads.submit(pool.run, ("good", "ann"), gate.work("ann"))
        with pytest.raises(TooManyRequests):
            greedy[3].result(10)
        gate.open.set()
        assert [one.result(10) for one in (busy, good, *greedy[:3])] == ["busy", "ann", "evil0", "evil1", "evil2"]
    assert waiting(pool) == 0
    assert not pool._waiting


def test_what_the_work_raises_is_the_callers():
    pool = HashPool(1, 4)

    def broken():
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            pool.run(("a", "b"), broken)
    assert pool.run(("a", "b"), lambda: 5) == 5
