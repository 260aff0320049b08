"""The worker's threads: woken at once, in time for what waits, ended by the watchdog when wedged, patient when asked to stop."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select

from common import jobs
from common.db import Base, Database, clock
from common.jobs import Done, Flow, Kernel, Wait, worker
from common.jobs.flow import Engines
from common.jobs.worker import MARGIN_SECONDS, WEDGED, Worker
from common.models import Job
from tests.flows.toy_scenarios import Thing


@pytest.fixture
def things(db):
    engine = create_engine(db.engine.url)
    Base.metadata.create_all(engine, tables=[Thing.__table__])
    engine.dispose()
    return db


def flow(step):
    made = Flow("test.step", Thing, deadline=timedelta(minutes=5))
    made.steps["start"] = step
    return made


def due(db, made):
    with db.transaction() as tx:
        thing = Thing(colour="red")
        tx.add(thing)
        tx.flush()
        jobs.enqueue(tx, made, thing.id)


class Looking(Kernel):
    """Says when it has looked for work."""

    def __init__(self, *given):
        super().__init__(*given)
        self.looked = threading.Semaphore(0)

    def run_one(self, started=None):
        found = super().run_one(started)
        self.looked.release()
        return found


def test_a_wake_is_heard_at_once(things):
    ran = threading.Event()
    made = flow(lambda run: ran.set() or Done())
    kernel = Looking(things, [made], Engines())
    running = Worker(kernel, threads=1, poll_seconds=60)
    running.start()
    assert kernel.looked.acquire(timeout=30)
    due(things, made)
    assert not ran.wait(0.3)
    running.wake()
    assert ran.wait(30)
    running.stop()


def test_what_waits_is_looked_at_when_it_is_due(things):
    runs = []
    second = threading.Event()

    def step(run):
        runs.append(time.monotonic())
        if len(runs) == 1:
            return Wait(0.4, "a little")
        second.set()
        return Done()

    made = flow(step)
    due(things, made)
    running = Worker(Kernel(things, [made], Engines()), threads=1, poll_seconds=60)
    running.start()
    assert second.wait(30)
    assert runs[1] - runs[0] >= 0.35
    running.stop()


def test_a_step_in_hand_is_finished_at_the_end(things):
    entered, finished = threading.Event(), threading.Event()

    def step(run):
        entered.set()
        time.sleep(0.5)
        finished.set()
        return Done()

    made = flow(step)
    due(things, made)
    running = Worker(Kernel(things, [made], Engines()), threads=1, poll_seconds=60)
    running.start()
    assert entered.wait(30)
    running.stop()
    assert finished.is_set()


def test_a_wedged_worker_ends_itself_before_its_lease_does(things, monkeypatch):
    """By a margin that leaves a loaded machine the time to look."""
    assert MARGIN_SECONDS > 2  # it looks once a second
    monkeypatch.setattr(worker, "MARGIN_SECONDS", 58.0)
    made = flow(lambda run: time.sleep(90))
    due(things, made)
    pid = os.fork()
    if pid == 0:
        Worker(Kernel(Database(str(things.engine.url)), [made], Engines(), lease_seconds=60), threads=1).start()
        time.sleep(90)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == WEDGED
    assert things.run(lambda tx: tx.scalar(select(Job.lease_until > clock())))
