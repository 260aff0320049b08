"""The gate can fail: a kernel or a flow with a known fault does not get through it."""

from __future__ import annotations

import pytest

from common.jobs import Done, queue
from tests.flows import test_gate as gate
from tests.flows.gate import SteppingClock
from tests.flows.toy_scenarios import SCRAP, Make, Scrap


@pytest.fixture
def steps(db):
    return SteppingClock(db)


def test_a_commit_without_the_fence_is_found(monkeypatch, postgres, db, steps):
    finish, move = queue.finish, queue.move
    monkeypatch.setattr(queue, "finish", lambda tx, job_id, fence: finish(tx, job_id, fence) or True)
    monkeypatch.setattr(queue, "move", lambda tx, job_id, fence, **values: move(tx, job_id, fence, **values) or True)

    class Forgetful(Make):
        """Counts the colours that were written over one another."""

        def check(self, db):
            super().check(db)
            assert self.factory.painted == 1

    with pytest.raises(AssertionError):
        gate.test_an_old_worker_resumes_after_a_takeover(Forgetful, postgres, db, steps)


def test_a_step_that_cannot_be_repeated_is_found(monkeypatch, db, steps):
    class Doubling(Make):
        def check(self, db):
            super().check(db)
            assert self.factory.painted == 1

    with pytest.raises(AssertionError):
        gate.test_every_step_twice(Doubling, db, steps)


def test_a_delete_that_forgets_the_engine_is_found(monkeypatch, postgres, db, steps):
    def remove(run):
        def commit(tx):
            row = run.lock(tx)
            if row is not None:
                tx.delete(row)
            return Done()

        return commit

    monkeypatch.setitem(SCRAP.steps, "remove", remove)

    class MadeThenScrapped(Scrap):
        def begin(self, db):
            thing_id = super().begin(db)
            self.factory.things[thing_id] = "grey"
            return thing_id

    with pytest.raises(AssertionError):
        gate.test_runs_through_without_a_wake(MadeThenScrapped, db, steps)


def test_a_done_that_ignores_the_generation_is_found(monkeypatch, postgres, db, steps):
    monkeypatch.setattr("common.jobs.kernel._settle", lambda run, subject: Done())
    with pytest.raises(AssertionError):
        gate.test_an_edit_between_any_two_steps(Make, postgres, db, steps)
