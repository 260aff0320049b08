"""Password hashes and the pool in which they are computed: nothing is cut off, turns are fair, the bound holds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.config import CONF
from common.errors import TooManyRequests
from identity.service import password
from identity.service.password import hash_password, matches, verify_password
from identity.service.pool import KnownAndNew, Pool
from identity.service.reputation import SLIPS, Reputation, Standing

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


def test_no_password_takes_as_long_as_a_wrong_one(monkeypatch):
    """What takes the time is counted: one bcrypt of the same cost over as many bytes."""
    CONF.set_override("password_hash_rounds", 5, "identity")
    try:
        stored, costs, real = hash_password("secret", 5), [], password.bcrypt.hashpw
        monkeypatch.setattr(password.bcrypt, "hashpw", lambda secret, salt: costs.append((len(secret), salt[:7])) or real(secret, salt))
        for hashed in (None, stored):
            assert not verify_password("wrong", hashed)
        assert costs == [(44, b"$2b$05$")] * 2
    finally:
        CONF.clear_override("password_hash_rounds", "identity")


class Gate:
    """Work that waits until it is let through, and notes its turn."""

    def __init__(self) -> None:
        self.open, self.turns, self.started = threading.Event(), [], threading.Semaphore(0)

    def work(self, name):
        def run():
            self.started.release()
            assert self.open.wait(60)
            self.turns.append(name)
            return name

        return run


def waiting(pool: Pool) -> int:
    return len(pool)


def until(condition):
    for _ in range(10000):
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
    pool, gate = Pool(1, 50), Gate()
    with ThreadPoolExecutor(30) as threads:
        threads.submit(pool.run, ("z", "z"), gate.work("busy"))
        assert gate.started.acquire(timeout=60)
        for index in range(6):
            ask(pool, threads, gate, ("evil", f"user{index % 2}"), f"evil{index % 2}.{index}")
        ask(pool, threads, gate, ("good", "ann"), "ann")
        ask(pool, threads, gate, ("good", "bob"), "bob")
        gate.open.set()
    assert gate.turns == ["busy", "evil0.0", "ann", "evil1.1", "bob", "evil0.2", "evil1.3", "evil0.4", "evil1.5"]


def test_over_the_bound_the_greediest_is_refused_not_the_newcomer():
    pool, gate = Pool(1, 4), Gate()
    with ThreadPoolExecutor(30) as threads:
        busy = threads.submit(pool.run, ("z", "z"), gate.work("busy"))
        assert gate.started.acquire(timeout=60)
        greedy = [ask(pool, threads, gate, ("evil", "x"), f"evil{index}") for index in range(4)]
        refused = threads.submit(pool.run, ("evil", "x"), gate.work("more"))
        with pytest.raises(TooManyRequests) as found:
            refused.result(60)
        assert int(found.value.headers["Retry-After"]) >= 1
        good = threads.submit(pool.run, ("good", "ann"), gate.work("ann"))
        with pytest.raises(TooManyRequests):
            greedy[3].result(60)
        gate.open.set()
        assert [one.result(60) for one in (busy, good, *greedy[:3])] == ["busy", "ann", "evil0", "evil1", "evil2"]
    assert waiting(pool) == 0
    assert not pool._queue._waiting


def test_what_the_work_raises_is_the_callers():
    pool = Pool(1, 4)

    def broken():
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            pool.run(("a", "b"), broken)
    assert pool.run(("a", "b"), lambda: 5) == 5


def test_who_does_the_work_himself_has_a_threads_place():
    pool, gate = Pool(2, 9), Gate()
    assert pool.claim()
    with ThreadPoolExecutor(3) as threads:
        first, second = (threads.submit(pool.run, ("a", name), gate.work(name)) for name in "xy")
        assert gate.started.acquire(timeout=60)
        until(lambda: waiting(pool) == 1)
        assert not pool.claim()
        assert not gate.started.acquire(timeout=0.05)
        pool.release()
        assert gate.started.acquire(timeout=60)
        assert not pool.claim()
        gate.open.set()
        assert [first.result(60), second.result(60)] == ["x", "y"]
    until(lambda: not pool._running)
    assert [pool.claim(), pool.claim(), pool.claim()] == [True, True, False]


# The two lanes

PATIENCE = 60.0  # seconds


class Lanes:
    """Both lanes with one thread each, and hashes that wait for a word: those of `right` are right.

    Patience ends when the test says that it is `over`; `slept` is what of it was left to each attempt that had nothing more to wait for.
    """

    def __init__(self, monkeypatch, bound: int) -> None:
        self.common, self.first, self.reputation = Pool(1, bound), Pool(1, bound, queue=KnownAndNew()), Reputation()
        self.begun, self.words, self.lock = [], {}, threading.Lock()
        self.slept, self.over = [], Future()
        monkeypatch.setattr(password, "time", SimpleNamespace(sleep=self.slept.append))
        monkeypatch.setattr(password, "wait", self.wait)
        monkeypatch.setattr(password, "common", lambda: self.common)
        monkeypatch.setattr(password, "first", lambda: self.first)
        monkeypatch.setattr(password, "REPUTATION", self.reputation)
        monkeypatch.setattr(password, "hash_seconds", lambda: PATIENCE / password.PATIENCE)
        monkeypatch.setattr(password, "verify_password", self.verify)

    def verify(self, given, _stored):
        lane = "first" if threading.current_thread() in self.first._threads else "common"
        with self.lock:
            self.begun.append((lane, given))
            word = self.words.setdefault((lane, given), threading.Event())
        assert word.wait(60)
        return given.startswith("right")

    def wait(self, futures, timeout=None, return_when=FIRST_COMPLETED):
        more = () if timeout is None else (self.over,)
        return wait((*futures, *more), timeout=timeout, return_when=return_when)

    def say(self, lane, given):
        until(lambda: (lane, given) in self.words)
        self.words[lane, given].set()


@pytest.fixture
def lanes(monkeypatch):
    return Lanes(monkeypatch, 3)


def fill(lanes, threads, count):
    """Invented users: one is compared, the others wait."""
    flood = []
    for index in range(count):
        flood.append(threads.submit(matches, ("a", f"nobody{index}"), f"wrong{index}", None))
        until(lambda n=index: len(lanes.begun) == 1 and waiting(lanes.common) == n)
    return flood


def test_on_a_free_pool_nothing_is_hashed_twice(lanes):
    with ThreadPoolExecutor(4) as threads:
        one = threads.submit(matches, ("a", "ann"), "right", "x", "id-ann")
        lanes.say("common", "right")
        assert one.result(60) is True
    assert lanes.begun == [("common", "right")]


def test_a_right_password_passes_a_flood_and_gives_its_place_back(lanes):
    with ThreadPoolExecutor(8) as threads:
        flood = fill(lanes, threads, 3)
        one = threads.submit(matches, ("a", "ann"), "right", "x", "id-ann")
        lanes.say("first", "right")
        assert one.result(60) is True
        assert waiting(lanes.common) == 2
        for index in range(3):
            lanes.say("common", f"wrong{index}")
        assert [each.result(60) for each in flood] == [False] * 3
    assert ("common", "right") not in lanes.begun


def test_a_wrong_one_is_told_by_the_common_lane_as_an_invented_users_is(lanes):
    with ThreadPoolExecutor(8) as threads:
        flood = fill(lanes, threads, 2)
        one = threads.submit(matches, ("a", "ann"), "wrong-ann", "x", "id-ann")
        lanes.say("first", "wrong-ann")
        until(lambda: not lanes.first._running)
        assert not one.done()
        assert waiting(lanes.common) == 2
        for index in range(2):
            lanes.say("common", f"wrong{index}")
            flood[index].result(60)
        assert not one.done()
        lanes.say("common", "wrong-ann")
        assert one.result(60) is False


@pytest.mark.parametrize("who", [None, "id-ann"])
def test_over_the_bound_nobody_is_told_before_a_right_one_would_be(lanes, who):
    """Known and invented users are refused at the same moment, if they are wrong."""
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)
        start = time.monotonic()
        one = threads.submit(matches, ("a", "ann"), "wrong-ann", "x", who)
        if who:
            lanes.say("first", "wrong-ann")
        with pytest.raises(TooManyRequests):
            one.result(60)
        assert time.monotonic() - start + sum(lanes.slept) >= PATIENCE - 0.01
        assert len(lanes.slept) == 1
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_over_the_bound_a_right_one_comes_in(lanes):
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)
        one = threads.submit(matches, ("a", "ann"), "right", "x", "id-ann")
        lanes.say("first", "right")
        assert one.result(60) is True
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_a_wrong_one_that_was_compared_counts_whatever_is_told(lanes):
    lanes.reputation.note("a", "id-ann", right=True)
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)
        for index in range(SLIPS):
            assert lanes.reputation.ask("a", "id-ann") is Standing.KNOWN
            one = threads.submit(matches, ("a", "ann"), f"wrong-ann{index}", "x", "id-ann")
            lanes.say("first", f"wrong-ann{index}")
            with pytest.raises(password.Wrong):
                one.result(60)
        assert lanes.reputation.ask("a", "id-ann") is not Standing.KNOWN
        with pytest.raises(TooManyRequests) as told:
            matches(("a", "bob"), "wrong-bob", None)
        assert told.type is TooManyRequests
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_the_room_of_who_waits_for_a_refusal_is_bounded(lanes, monkeypatch):
    monkeypatch.setattr(password, "_ROOM", threading.Semaphore(0))
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)
        with pytest.raises(TooManyRequests):
            matches(("a", "bob"), "wrong-bob", None)
        assert lanes.slept == []
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_what_is_withdrawn_never_begins():
    pool, gate = Pool(1, 9), Gate()
    with ThreadPoolExecutor(2) as threads:
        busy = threads.submit(pool.run, ("z", "z"), gate.work("busy"))
        assert gate.started.acquire(timeout=60)
        job = pool.submit(("a", "b"), gate.work("gone"))
        pool.withdraw(job)
        pool.withdraw(job)
        assert waiting(pool) == 0
        gate.open.set()
        busy.result(60)
    assert gate.turns == ["busy"]
    assert not pool._queue._waiting


def test_known_and_new_take_turns_and_of_the_new_the_newest():
    pool, gate = Pool(1, 9, queue=KnownAndNew()), Gate()
    pool.submit(("z", "z"), gate.work("busy"))
    assert gate.started.acquire(timeout=60)
    names = ("new1", "new2", "ann", "new3", "bob", "cy")
    jobs = {name: pool.submit((name, name), gate.work(name), new=name.startswith("new")) for name in names}
    assert pool.withdraw(jobs["new2"])
    assert not pool.withdraw(jobs["new2"])
    gate.open.set()
    assert jobs["cy"].done.result(60) == "cy"
    assert gate.turns == ["busy", "new3", "ann", "new1", "bob", "cy"]
    assert len(pool) == 0


def test_over_the_bound_of_the_first_lane_the_oldest_new_one_goes():
    pool, gate = Pool(1, 2, queue=KnownAndNew()), Gate()
    pool.submit(("z", "z"), gate.work("busy"))
    assert gate.started.acquire(timeout=60)
    jobs = [pool.submit(("a", name), gate.work(name), new=name != "ann") for name in ("new1", "ann", "new2")]
    with pytest.raises(TooManyRequests):
        jobs[0].done.result(60)
    gate.open.set()
    assert [job.done.result(60) for job in jobs[1:]] == ["ann", "new2"]


def test_who_is_known_gives_way_where_more_such_wait():
    pool, gate = Pool(1, 4, queue=KnownAndNew()), Gate()
    pool.submit(("z", "z"), gate.work("busy"))
    assert gate.started.acquire(timeout=60)
    known = [pool.submit(("a ann", "ann"), gate.work(f"ann{index}")) for index in range(3)]
    bob = pool.submit(("a bob", "bob"), gate.work("bob"))
    new = pool.submit(("a new", "new"), gate.work("new"), new=True)
    with pytest.raises(TooManyRequests):
        known[-1].done.result(60)
    gate.open.set()
    assert [job.done.result(60) for job in (new, bob, *known[:2])] == ["new", "bob", "ann0", "ann1"]


def test_a_new_user_has_one_try_and_who_was_right_is_known_there():
    known = Reputation()
    assert known.ask("a", "ann") is Standing.NEW
    assert known.ask("a", "ann") is known.ask("b", "ann") is Standing.TRIED
    assert known.ask("a", "bob") is Standing.NEW
    known.note("a", "ann", right=True)
    assert known.ask("b", "ann") is Standing.NEW
    known.note("b", "ann", right=False)
    for _ in range(SLIPS):
        assert known.ask("a", "ann") is Standing.KNOWN
        known.note("a", "ann", right=False)
    assert known.ask("a", "ann") is Standing.TRIED


def test_a_try_is_forgiven_that_waited_in_vain(lanes):
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)
        other = threads.submit(matches, ("a", "bob"), "wrong-bob", "x", "id-bob")
        until(lambda: ("first", "wrong-bob") in lanes.words)
        one = threads.submit(matches, ("a", "ann"), "right", "x", "id-ann")
        until(lambda: waiting(lanes.first) == 1)
        lanes.over.set_result(None)
        for each in (one, other):
            with pytest.raises(TooManyRequests):
                each.result(60)
        assert lanes.reputation.ask("a", "id-ann") is Standing.NEW
        assert lanes.reputation.ask("a", "id-bob") is Standing.TRIED  # his was being compared
        lanes.say("first", "wrong-bob")
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_a_try_is_not_forgiven_that_the_first_lane_gave_up(lanes):
    lanes.first = Pool(1, 1, queue=KnownAndNew())
    with ThreadPoolExecutor(8) as threads:
        fill(lanes, threads, 4)

        def come(who):
            return threads.submit(matches, ("a", who), f"wrong-{who}", "x", f"id-{who}")

        bob = come("bob")
        until(lambda: ("first", "wrong-bob") in lanes.words)
        ann = come("ann")
        until(lambda: waiting(lanes.first) == 1)
        cy = come("cy")
        for each in (ann, bob, cy):  # bob's is compared, ann's waits until cy's comes
            with pytest.raises(TooManyRequests):
                each.result(60)
            if each is ann:
                lanes.over.set_result(None)
        assert lanes.reputation.ask("a", "id-ann") is Standing.TRIED
        assert lanes.reputation.ask("a", "id-cy") is Standing.NEW
        lanes.say("first", "wrong-bob")
        for index in range(4):
            lanes.say("common", f"wrong{index}")


def test_a_try_is_forgotten_in_time_and_memory_is_bounded(monkeypatch):
    known = Reputation()
    monkeypatch.setattr("identity.service.reputation.MOST", 3)
    for index in range(5):
        assert known.ask("a", f"user{index}") is Standing.NEW
    assert known.ask("a", "user0") is Standing.NEW
    assert known.ask("a", "user4") is Standing.TRIED
    monkeypatch.setattr("identity.service.reputation.TRY_SECONDS", -1.0)
    assert known.ask("a", "user1") is Standing.NEW
    assert known.ask("a", "user1") is Standing.NEW
