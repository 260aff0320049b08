"""The worker's threads: woken at once, in time for what waits, ended by the watchdog when wedged, patient when asked to stop."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import create_engine

from common import jobs
from common.db import Base, Database
from common.jobs import Done, Flow, Kernel, Wait
from common.jobs.flow import Engines
from common.jobs.worker import WEDGED, Worker
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


def test_a_wake_is_heard_at_once(things):
    ran = threading.Event()
    made = flow(lambda run: ran.set() or Done())
    worker = Worker(Kernel(things, [made], Engines()), threads=1, poll_seconds=60)
    worker.start()
    time.sleep(0.3)  # it has looked once, and sleeps
    due(things, made)
    assert not ran.wait(0.3)
    worker.wake()
    assert ran.wait(5)
    worker.stop()


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
    worker = Worker(Kernel(things, [made], Engines()), threads=1, poll_seconds=60)
    worker.start()
    assert second.wait(10)
    assert runs[1] - runs[0] >= 0.35
    worker.stop()


def test_a_step_in_hand_is_finished_at_the_end(things):
    entered, finished = threading.Event(), threading.Event()

    def step(run):
        entered.set()
        time.sleep(0.5)
        finished.set()
        return Done()

    made = flow(step)
    due(things, made)
    worker = Worker(Kernel(things, [made], Engines()), threads=1, poll_seconds=60)
    worker.start()
    assert entered.wait(5)
    worker.stop()
    assert finished.is_set()


def test_a_wedged_worker_ends_itself_before_its_lease_does(things):
    made = flow(lambda run: time.sleep(60))
    due(things, made)
    begin, pid = time.monotonic(), os.fork()
    if pid == 0:
        worker = Worker(Kernel(Database(str(things.engine.url)), [made], Engines(), lease_seconds=5), threads=1)
        worker.start()
        time.sleep(60)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == WEDGED
    assert time.monotonic() - begin < 5
