"""Runs due jobs in the test's own process, one step after another, until none is due or a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import func, select, update

from common.db import Database, Tx, clock
from common.jobs import Engines, Flow, Kernel
from common.models import Job


def run_jobs(db: Database, flows: Iterable[Flow[Any]], *engines: tuple[type, object], most: int = 200) -> int:
    """Run every job to its end, letting the time of each pause pass at once; how many are left after `most` steps."""
    kernel = Kernel(db, flows, Engines(*engines))
    for _ in range(most):
        if not kernel.run_one():
            if not db.run(_let_time_pass):
                break
    return db.run(lambda tx: tx.execute(select(func.count()).select_from(Job)).scalar_one())


def _let_time_pass(tx: Tx) -> int:
    waiting = update(Job).where(func.isfinite(Job.due_at), Job.due_at > clock()).values(due_at=clock())
    return int(tx.execute(waiting).rowcount)  # type: ignore[attr-defined]


def until(condition: Callable[[], bool], db: Database, flows: Iterable[Flow[Any]], *engines: tuple[type, object], most: int = 200) -> None:
    """Run due jobs until `condition` holds; fails when it does not."""
    kernel = Kernel(db, flows, Engines(*engines))
    for _ in range(most):
        if condition():
            return
        kernel.run_one()
    raise AssertionError("the condition did not come about")
