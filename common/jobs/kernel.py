"""Runs one step of one job: claim, read, effect, and one transaction that is refused if another worker has the job by then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Interval, literal, select

from common import log, metrics
from common.clock import Deadline
from common.db import Database, Tx, clock
from common.jobs import queue
from common.jobs.flow import START, Claimed, Commit, Engines, Flow, Run
from common.jobs.outcome import Done, Fail, Goto, Outcome, Park, Wait
from common.models import Job

LOG = logging.getLogger(__name__)
GENERATION = "generation"
MOST_DEATHS = 3  # workers that an overdue job may end, one after the other


class OvertakenError(Exception):
    """The job is another worker's, or another kind's, by now; nothing of this run is written."""


class Kernel:
    """Claims and runs jobs of the flows that it is given, against the engines that it is given."""

    def __init__(self, db: Database, flows: Iterable[Flow[Any]], engines: Engines, *, lease_seconds: float = 30.0) -> None:
        self.db, self.engines, self.lease_seconds = db, engines, lease_seconds
        self.flows = {flow.kind: flow for flow in flows}
        self.on_wait: Callable[[float], None] | None = None  # told the seconds of each Wait that was committed
        self._known = [(flow.kind, flow.version) for flow in self.flows.values()]

    def run_one(self, started: Callable[[Deadline], None] | None = None) -> bool:
        """Claim one due job and run its steps while they follow one another; False when none is due.

        `started` is told the lease's end (for a watchdog), before each step.
        """
        lease = Deadline(self.lease_seconds)
        claimed = self.db.run(lambda tx: queue.claim(tx, self._known, self.lease_seconds))
        found = claimed is not None
        while claimed is not None:
            if started:
                started(lease)
            claimed, lease = self._run(claimed, lease)
        return found

    def _run(self, claimed: Claimed, lease: Deadline) -> tuple[Claimed | None, Deadline]:
        """Run the claimed step and commit its outcome; the claim of the next step, where one follows at once, and its lease."""
        flow = self.flows[claimed.kind]
        began = time.perf_counter()
        with log.context(job_id=claimed.id, request_id=claimed.request_id, subject_id=claimed.subject_id):
            name = "Error"
            try:
                result, run = self._step(flow, claimed, lease)
                renewed = Deadline(self.lease_seconds)  # counted from before the commit that renews it
                outcome, following = self.db.run(lambda tx: self._commit(tx, run, claimed, result))
                name = type(outcome).__name__
                if isinstance(outcome, Wait) and self.on_wait:
                    self.on_wait(outcome.seconds)
                LOG.info("%s: step %s of %s: %s", claimed.kind, claimed.step, claimed.subject_id, outcome)
                return following, renewed
            except OvertakenError:
                name = "Overtaken"
                metrics.OVERTAKEN.labels(claimed.kind).inc()
                LOG.warning("%s: step %s of %s was overtaken", claimed.kind, claimed.step, claimed.subject_id)
                self.db.run(lambda tx: queue.let_go(tx, claimed))
            except Exception as error:  # a step that fails is tried again until the job's deadline
                LOG.warning("%s: step %s of %s failed", claimed.kind, claimed.step, claimed.subject_id, exc_info=True)
                text = f"{type(error).__name__}: {error}"[:2000]
                self.db.run(lambda tx: _failed(tx, claimed, text))
            finally:
                metrics.STEPS.labels(claimed.kind, claimed.step, name).observe(time.perf_counter() - began)
        return None, lease

    def _step(self, flow: Flow[Any], claimed: Claimed, lease: Deadline) -> tuple[Outcome | Commit, Run[Any]]:
        run: Run[Any] = Run(
            db=self.db, engines=self.engines, flow=flow, job_id=claimed.id, subject_id=claimed.subject_id, step=claimed.step,
            data=dict(claimed.data), fence=claimed.fence, tries=claimed.tries, lease=lease, wait_out_seconds=claimed.wait_out_seconds,
            actor=claimed.actor, project_id=claimed.project_id, request_id=claimed.request_id,
        )  # fmt: skip
        run.subject = self.db.run(lambda tx: flow.current(tx, claimed.subject_id))
        if claimed.step == START and run.subject is not None and hasattr(run.subject, "generation"):
            run.data[GENERATION] = run.subject.generation
        if claimed.overdue and claimed.deaths >= MOST_DEATHS:
            LOG.critical("%s: step %s of %s ended %d workers", claimed.kind, claimed.step, claimed.subject_id, claimed.deaths)
            return _overdue(flow), run
        try:
            return flow.steps[claimed.step](run), run
        except Exception:
            if not claimed.overdue:
                raise
            LOG.warning("%s: step %s of %s failed past its deadline", claimed.kind, claimed.step, claimed.subject_id, exc_info=True)
            return _overdue(flow), run

    def _commit(self, tx: Tx, run: Run[Any], claimed: Claimed, result: Any) -> tuple[Outcome, Claimed | None]:
        """One transaction: what the step writes, the subject's lock, then the job, where the fence still holds."""
        tx.info["request_id"] = run.request_id
        outcome: Outcome = result(tx) if callable(result) else result
        if claimed.overdue and isinstance(outcome, Wait):  # a deadline ends waiting; what would come about now may
            outcome = _overdue(run.flow)
        subject = run.flow.locked(tx, run.subject_id)
        if isinstance(outcome, Done):
            outcome = _settle(run, subject)
        elif isinstance(outcome, Fail) and subject is not None:
            _write_fault(tx, run, subject, outcome)
        tx.flush()
        following: Claimed | None = None
        if isinstance(outcome, Done | Fail):
            mine = queue.finish(tx, run.job_id, run.fence)
        else:
            mine = queue.move(tx, run.job_id, run.fence, **_changes(run, outcome, self.lease_seconds))
        if not mine:
            raise OvertakenError
        if isinstance(outcome, Goto):
            following = _next_claim(tx, claimed, run, outcome)
        return outcome, following


def _failed(tx: Tx, claimed: Claimed, text: str) -> None:
    """The step raised: the job keeps the `due_at` that its claim backed off."""
    if not queue.move(tx, claimed.id, claimed.fence, error=text, lease_until=None):
        queue.let_go(tx, claimed)


def _overdue(flow: Flow[Any]) -> Outcome:
    if flow.at_deadline == "park":
        return Park("its deadline has passed")
    return Fail(500, "The operation did not come about within its time.")


def _settle(run: Run[Any], subject: Any) -> Outcome:
    """Done holds only for the generation that this run applied."""
    if subject is None or not hasattr(subject, "generation"):
        return Done()
    applied = run.data.get(GENERATION, run.subject.generation if run.subject is not None else subject.generation)
    if subject.generation != applied:
        return Goto(START)
    subject.observed_generation = applied
    return Done()


def _write_fault(tx: Tx, run: Run[Any], subject: Any, outcome: Fail) -> None:
    subject.fault = {"code": outcome.code, "message": outcome.message, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    if hasattr(subject, "generation"):
        subject.observed_generation = run.data.get(GENERATION, subject.generation)
    if run.flow.give_back is not None:
        run.flow.give_back(tx, subject)


def _changes(run: Run[Any], outcome: Outcome, lease_seconds: float) -> dict[str, Any]:
    if isinstance(outcome, Goto):
        lease = clock() + literal(timedelta(seconds=lease_seconds), Interval())
        return {
            "step": outcome.step,
            "data": {**run.data, **outcome.data},
            "due_at": clock(),
            "tries": 1,
            "error": None,
            "lease_until": lease,
        }
    if isinstance(outcome, Wait):
        due = clock() + literal(timedelta(seconds=outcome.seconds), Interval())
        return {"data": {**run.data, **outcome.data}, "due_at": due, "tries": 0, "error": outcome.reason, "lease_until": None}
    if isinstance(outcome, Park):
        return {"due_at": None, "error": outcome.reason, "lease_until": None}
    raise TypeError(f"{run.flow.kind}: step {run.step} returned {outcome!r}")


def _next_claim(tx: Tx, claimed: Claimed, run: Run[Any], outcome: Goto) -> Claimed:
    lease_until = tx.execute(select(Job.lease_until).where(Job.id == run.job_id)).scalar_one()
    return replace(
        claimed, step=outcome.step, data={**run.data, **outcome.data}, tries=1, deaths=0, lease_until=lease_until or claimed.lease_until
    )
