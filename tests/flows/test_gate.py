"""Every flow through the gate. `WOLKE_GATE=all` tries every kill point; otherwise a seeded sample (`WOLKE_GATE_SEED`)."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
from sqlalchemy import select, update

from common.db import clock
from common.models import Job
from tests.flows import scenarios
from tests.flows.gate import (
    LEASE,
    MOST_TURNS,
    Kernel,
    Meter,
    OneStep,
    SteppingClock,
    Tap,
    Twice,
    drain,
    jobs_left,
    kernel,
    killed_child,
    soonest,
)  # fmt: skip

ALL = os.environ.get("WOLKE_GATE") == "all"
SEED = int(os.environ.get("WOLKE_GATE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SAMPLE = int(os.environ.get("WOLKE_GATE_SAMPLE", "8"))
SCENARIOS = scenarios.every()

pytestmark = pytest.mark.parametrize("kind", SCENARIOS, ids=lambda kind: kind.name)


@pytest.fixture
def steps(db):
    return SteppingClock(db)


def over(db, scenario):
    assert jobs_left(db) == 0
    scenario.check(db)


def test_runs_through_without_a_wake(kind, db, steps):
    scenario = kind()
    scenario.begin(db)
    drain(db, scenario, kernel(db, scenario, scenario.engines()), steps)
    over(db, scenario)


def test_every_step_twice(kind, db, steps):
    scenario = kind()
    scenario.begin(db)
    drain(db, scenario, kernel(db, scenario, scenario.engines(), Twice), steps)
    over(db, scenario)


@pytest.mark.parametrize("when", ["fail_at", "fail_after"])
def test_a_failure_at_every_call_of_an_engine(kind, when, postgres, db, steps):
    first = kind()
    first.begin(db)
    meter = Meter()
    drain(db, first, kernel(db, first, [(face, Tap(engine, meter)) for face, engine in first.engines()]), steps)
    for call in range(1, meter.calls + 1):
        with fresh(postgres) as (other, other_steps):
            scenario, broken = kind(), Meter(**{when: call})
            scenario.begin(other)
            drain(
                other, scenario, kernel(other, scenario, [(face, Tap(engine, broken)) for face, engine in scenario.engines()]), other_steps
            )
            assert broken.fired, f"no failure happened at call {call}"
            over(other, scenario)


def test_an_engine_that_refuses_everything_ends_at_the_deadline(kind, db, steps):
    scenario = kind()
    scenario.begin(db)
    meter = Meter(fail_all=True)
    pairs = [(face, Tap(engine, meter)) for face, engine in scenario.engines()]
    worker = kernel(db, scenario, pairs)
    longest = max(flow.deadline.total_seconds() for flow in scenario.flows)
    for _ in range(MOST_TURNS):
        scenario.outside(db)
        if not worker.run_one():
            if not waiting(db):
                break
            steps.jump(max(120, longest / 20))
    assert not waiting(db), "a job neither failed nor parked"
    if meter.fired:
        scenario.check_failed(db)


def waiting(db):
    with db.transaction() as tx:
        return tx.execute(select(Job.id).where(Job.due_at.is_not(None))).all()


def test_an_edit_between_any_two_steps(kind, postgres, db, steps):
    if not kind.can_edit:
        pytest.skip("nothing can be edited while this flow runs")
    first, turns = kind(), []
    first.begin(db)
    drain(db, first, kernel(db, first, first.engines(), OneStep), steps, after_step=turns.append)
    for cut in range(len(turns)):
        with fresh(postgres) as (other, other_steps):
            scenario, seen = kind(), []
            subject = scenario.begin(other)

            def edit(_turn, scenario=scenario, other=other, subject=subject, seen=seen, cut=cut):
                seen.append(1)
                if len(seen) == cut + 1:
                    scenario.edit(other, subject)

            drain(other, scenario, kernel(other, scenario, scenario.engines(), OneStep), other_steps, after_step=edit)
            over(other, scenario)


def test_an_old_worker_resumes_after_a_takeover(kind, postgres, db, steps):
    """Before the commit of each step, the worker stops for longer than its lease; another takes over and finishes; then it goes on."""
    cut = 0
    while True:
        with fresh(postgres) as (other, other_steps):
            scenario = kind()
            scenario.begin(other)
            pairs = scenario.engines()
            paused, resume, commits = threading.Event(), threading.Event(), []

            class Old(Kernel):
                def _commit(self, tx, run, claimed, result):
                    commits.append(1)
                    if len(commits) == cut + 1:
                        paused.set()
                        resume.wait(30)
                    return super()._commit(tx, run, claimed, result)

            old = kernel(other, scenario, pairs, Old)
            thread = threading.Thread(target=until_idle, args=(other, scenario, old, other_steps, paused))
            thread.start()
            while thread.is_alive() and not paused.is_set():
                time.sleep(0.005)
            reached = paused.is_set()
            if reached:
                other_steps.jump(LEASE + 1)
                drain(other, scenario, kernel(other, scenario, pairs), other_steps)
            resume.set()
            thread.join(60)
            if reached:
                over(other, scenario)
        if not reached:
            break
        cut += 1
    assert cut > 0


def until_idle(db, scenario, worker, steps, paused):
    for _ in range(MOST_TURNS):
        scenario.outside(db)
        if not worker.run_one():
            if paused.is_set() or jobs_left(db) == 0:
                return
            steps.jump(LEASE + 35)


def test_sigkill_at_every_line(kind, postgres, db, steps, record_property):
    """A child is killed at a line; time passes; another worker ends the work, and nothing is stuck, leaked or doubled."""
    lines = stretches(kind, postgres)
    points = [(stretch, line) for stretch, count in enumerate(lines) for line in range(1, count + 1)]
    tried = points if ALL else random.Random(SEED).sample(points, min(SAMPLE, len(points)))
    for stretch, line in tried:
        with fresh(postgres) as (other, other_steps):
            scenario = kind()
            scenario.begin(other)
            pairs = scenario.engines()
            for _ in range(stretch):
                scenario.outside(other)
                killed_child(str(other.engine.url), scenario, pairs, other_steps.seconds, None)
                pass_time(other, other_steps)
            scenario.outside(other)
            _, killed = killed_child(str(other.engine.url), scenario, pairs, other_steps.seconds, line)
            assert killed, f"the child was not killed in stretch {stretch} at line {line}"
            other_steps.jump(LEASE + 1)
            drain(other, scenario, kernel(other, scenario, pairs), other_steps)
            over(other, scenario)
    record_property("kill points", f"{kind.name}: {len(tried)} kill points tried of {len(points)} known (seed {SEED})")


def stretches(kind, postgres):
    """Lines that a worker runs in each stretch between two waits."""
    found = []
    with fresh(postgres) as (other, steps):
        scenario = kind()
        scenario.begin(other)
        pairs = scenario.engines()
        while jobs_left(other) and len(found) < 40:
            scenario.outside(other)
            count, _ = killed_child(str(other.engine.url), scenario, pairs, steps.seconds, None)
            found.append(count)
            pass_time(other, steps)
        over(other, scenario)
    return found


def pass_time(db, steps):
    left = soonest(db)
    if left is not None:
        steps.jump(max(0.0, left.total_seconds()) + 0.01)


class fresh:
    """A database of its own, with its clock."""

    def __init__(self, postgres):
        self._postgres = postgres

    def __enter__(self):
        from common.db import Database

        self._name = self._postgres.fresh()
        self._db = Database(self._postgres.url(self._name), pool_size=5)
        return self._db, SteppingClock(self._db)

    def __exit__(self, *_exc):
        self._db.close()
        self._postgres.drop(self._name)


def test_a_soak_of_random_kills(kind, db, steps, postgres):
    """Worker after worker is killed at a random line until the work is done."""
    scenario, rng = kind(), random.Random(SEED)
    scenario.begin(db)
    pairs = scenario.engines()
    for _ in range(60 if ALL else 8):
        if not jobs_left(db):
            break
        scenario.outside(db)
        killed_child(str(db.engine.url), scenario, pairs, steps.seconds, rng.randrange(1, 200))
        steps.jump(rng.uniform(0, LEASE * 1.2))
    with db.transaction() as tx:
        tx.execute(update(Job).where(Job.due_at > clock()).values(due_at=clock()))
    drain(db, scenario, kernel(db, scenario, pairs), steps)
    over(db, scenario)
