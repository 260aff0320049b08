"""The job table: enqueue and divert (in the request's transaction), claim, move on. Nothing else writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Interval, case, delete, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx, clock, wake
from common.errors import Conflict
from common.jobs.flow import START, Claimed, Flow
from common.models import Job

TOPIC = "worker"
BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0


def _interval(seconds: float) -> Any:
    return literal(timedelta(seconds=seconds), Interval())


def enqueue(
    tx: Tx, flow: Flow[Any], subject_id: str, *, actor: str | None = None, project_id: str | None = None,
    data: dict[str, Any] | None = None, delay: float = 0.0,
) -> None:  # fmt: skip
    """Make work of `flow` due for the subject.

    A job of the same kind that is there already is made due and will see the new generation before it is done. Another kind: Conflict.
    """
    values = _values(tx, flow, subject_id, actor, project_id, data)
    statement = insert(Job).values(**values, due_at=clock() + _interval(delay))
    merged = statement.on_conflict_do_update(
        constraint="uq_job_subject_id",
        set_={"due_at": func.least(Job.due_at, statement.excluded.due_at), "deadline_at": statement.excluded.deadline_at},
        where=Job.kind == flow.kind,
    ).returning(Job.id)
    if tx.execute(merged).scalar() is None:
        raise Conflict(f"The resource {subject_id} is busy with another operation.")
    wake(tx, TOPIC)


def divert(
    tx: Tx, flow: Flow[Any], subject_id: str, *, actor: str | None = None, project_id: str | None = None,
    data: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Make the subject's job one of `flow`, whatever it was (a delete).

    A step in hand is not stolen: its lease is kept, so the new kind begins when it ends, but its result will be refused. Where its worker is
    never heard of again, `Run.wait_out` tells the last step how long it might still be at work.
    """
    values = _values(tx, flow, subject_id, actor, project_id, data)
    statement = insert(Job).values(**values, due_at=clock())
    same = Job.kind == flow.kind
    overtaken = statement.excluded.data.op("||")(func.jsonb_build_object("wait_out", func.to_jsonb(Job.lease_until)))
    taken = statement.on_conflict_do_update(
        constraint="uq_job_subject_id",
        set_={
            "kind": statement.excluded.kind, "version": statement.excluded.version, "deadline_at": statement.excluded.deadline_at,
            "step": case((same, Job.step), else_=statement.excluded.step),
            "data": case((same, Job.data), (Job.lease_until > clock(), overtaken), else_=statement.excluded.data),
            "fence": Job.fence + case((same, 0), else_=1), "due_at": clock(), "tries": 0, "deaths": 0, "error": None,
        },
    )  # fmt: skip
    tx.execute(taken)
    wake(tx, TOPIC)


def _values(
    tx: Tx, flow: Flow[Any], subject_id: str, actor: str | None, project_id: str | None, data: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "kind": flow.kind, "version": flow.version, "subject_id": subject_id, "step": START, "data": data or {}, "actor": actor,
        "project_id": project_id, "request_id": tx.info.get("request_id"), "deadline_at": clock() + _interval(flow.deadline.total_seconds()),
    }  # fmt: skip


def hasten(tx: Tx, *subject_ids: str) -> None:
    """Make the jobs of these subjects due now: what they wait for has happened."""
    if not subject_ids:
        return
    statement = update(Job).where(Job.subject_id.in_(subject_ids), Job.due_at > clock()).values(due_at=clock())
    if cast("CursorResult[Any]", tx.execute(statement)).rowcount:
        wake(tx, TOPIC)


def everything(tx: Tx) -> list[Job]:
    """Every job, parked ones first; for an operator."""
    return list(tx.execute(select(Job).order_by(Job.due_at.nulls_first())).scalars())


def parked(tx: Tx) -> int:
    """How many jobs wait for an operator."""
    return tx.execute(select(func.count()).where(Job.due_at.is_(None))).scalar_one()


def unpark(tx: Tx, *subject_ids: str) -> None:
    """An operator lets parked jobs try again."""
    tx.execute(update(Job).where(Job.subject_id.in_(subject_ids)).values(due_at=clock(), tries=0, deaths=0, error=None, deadline_at=None))
    wake(tx, TOPIC)


def claim(tx: Tx, known: Sequence[tuple[str, int]], lease_seconds: float) -> Claimed | None:
    """Take the job that is due longest: fence + 1, a lease, and `due_at` backed off up front, for the case that it kills its worker."""
    free = (Job.lease_until.is_(None)) | (Job.lease_until <= clock())
    due = (
        select(Job.id)
        .where(Job.due_at <= clock(), free, tuple_(Job.kind, Job.version).in_(known))
        .order_by(Job.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    backoff = func.least(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * func.power(2, func.least(Job.tries, 10)))
    statement = (
        update(Job)
        .where(Job.id == due)
        .values(
            fence=Job.fence + 1, tries=Job.tries + 1, lease_until=clock() + _interval(lease_seconds),
            due_at=clock() + backoff * text("interval '1 second'"),
            deaths=Job.deaths + case((Job.lease_until.is_(None), 0), else_=1),
        )
        .returning(
            Job.id, Job.kind, Job.subject_id, Job.step, Job.data, Job.fence, Job.tries, Job.deaths, Job.lease_until,
            func.coalesce(Job.deadline_at <= clock(), False).label("overdue"),
            func.coalesce(func.extract("epoch", text("(data->>'wait_out')::timestamptz") - clock()), 0).label("wait_out_seconds"),
            Job.actor, Job.project_id, Job.request_id,
        )
    )  # fmt: skip
    row = tx.execute(statement).first()
    return None if row is None else Claimed(**{**row._asdict(), "wait_out_seconds": float(row.wait_out_seconds)})


def move(tx: Tx, job_id: str, fence: int, **values: Any) -> bool:
    """Change the job if it is still this claim's; False: overtaken."""
    result = tx.execute(update(Job).where(Job.id == job_id, Job.fence == fence).values(deaths=0, **values))
    return bool(cast("CursorResult[Any]", result).rowcount)


def finish(tx: Tx, job_id: str, fence: int) -> bool:
    """Remove the job if it is still this claim's; False: overtaken."""
    result = tx.execute(delete(Job).where(Job.id == job_id, Job.fence == fence))
    return bool(cast("CursorResult[Any]", result).rowcount)


def let_go(tx: Tx, claimed: Claimed) -> None:
    """An overtaken step is over: who diverted its job need not wait for the lease."""
    statement = (
        update(Job)
        .where(Job.id == claimed.id, Job.lease_until == claimed.lease_until, Job.fence > claimed.fence)
        .values(lease_until=None, due_at=func.least(Job.due_at, clock()), data=Job.data.op("-")("wait_out"))
    )
    if cast("CursorResult[Any]", tx.execute(statement)).rowcount:
        wake(tx, TOPIC)
