"""A deadline ends waiting and failing; what would come about at once still may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select

from common import jobs
from common.db import Base
from common.jobs import Done, Flow, Kernel, Wait, queue
from common.jobs.flow import Engines
from common.models import Job
from tests.flows.gate import SteppingClock
from tests.flows.toy_scenarios import Thing


@pytest.fixture
def overdue(db):
    """Runs one step of a job whose deadline passed while nobody was there, or after `early` steps; the subject, and the jobs left."""
    engine = create_engine(db.engine.url)
    Base.metadata.create_all(engine, tables=[Thing.__table__])
    engine.dispose()
    steps = SteppingClock(db)

    def run(step, at_deadline="fail", deaths=(), early=0):
        flow = Flow("test.late", Thing, deadline=timedelta(minutes=1), at_deadline=at_deadline)
        flow.steps["start"] = step
        with db.transaction() as tx:
            thing = Thing(colour="red")
            tx.add(thing)
            tx.flush()
            jobs.enqueue(tx, flow, thing.id)
        for n in range(early):
            assert Kernel(db, [flow], Engines()).run_one()
            steps.jump(2**n + 1)
        steps.jump(3600)
        for _ in range(10):
            try:
                assert Kernel(db, [flow], Engines()).run_one()
                break
            except deaths:
                steps.jump(3600)
        with db.transaction() as tx:
            return tx.get(Thing, thing.id), tx.execute(select(Job)).scalars().all()

    return run


def test_what_comes_about_at_once_is_not_failed(overdue):
    thing, left = overdue(lambda run: Done())
    assert (thing.fault, thing.settled, left) == (None, True, [])


def test_waiting_is_over(overdue):
    thing, left = overdue(lambda run: Wait(5, "still"))
    assert thing.fault["code"] == 500
    assert left == []


def test_failing_is_over(overdue):
    def step(run):
        raise OSError("the engine is away")

    thing, left = overdue(step)
    assert thing.fault["code"] == 500
    assert left == []


def test_what_must_not_be_given_up_is_parked(overdue):
    thing, left = overdue(lambda run: Wait(5, "still"), "park")
    assert thing.fault is None
    assert [job.due_at for job in left] == [None]


@pytest.mark.parametrize("at_deadline", ["fail", "park"])
def test_a_step_that_ends_its_worker_each_time_is_given_up(overdue, db, at_deadline):
    class Gone(BaseException):
        """The process ends here: nothing after it is written."""

    begun = []

    def step(run):
        begun.append(run.tries)
        raise Gone

    thing, left = overdue(step, at_deadline, deaths=Gone)
    assert begun == [1, 2, 3]
    assert (thing.fault is None, [job.due_at for job in left]) == ((False, []) if at_deadline == "fail" else (True, [None]))
    assert db.run(queue.parked) == len(left)


def test_what_only_failed_before_its_deadline_is_tried_once_more(overdue):
    """The engine was away, and is back when the deadline has passed: no worker died of it."""
    begun = []

    def step(run):
        begun.append(run.tries)
        if len(begun) < 6:
            raise OSError("the engine is away")
        return Done()

    thing, left = overdue(step, early=5)
    assert (len(begun), thing.fault, left) == (6, None, [])
