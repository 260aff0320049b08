"""A flow: the steps of one kind of long work, and what a step sees of the job it runs for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar, cast

from sqlalchemy import select

from common.clock import Deadline
from common.db import Database, Tx
from common.jobs.outcome import Outcome, Wait

S = TypeVar("S")
T = TypeVar("T")
E = TypeVar("E")
START = "start"
LONGEST_STEP_SECONDS = 20

Commit = Callable[[Tx], Outcome]
Step = Callable[["Run[Any]"], "Outcome | Commit"]


class Engines:
    """The engines that this process drives, by the type that names their interface."""

    def __init__(self, *pairs: tuple[type, object]) -> None:
        self._known = dict(pairs)

    def add(self, interface: type, engine: object) -> None:
        """Make `engine` known as `interface`."""
        self._known[interface] = engine

    def get(self, interface: type[E]) -> E:
        """The engine of this interface; KeyError where the process has none."""
        return cast(E, self._known[interface])


@dataclass
class Run(Generic[S]):
    """One run of one step.

    `subject` is the row as it was read before the step (None when it is gone). Effects outside SQL happen in the step; what is written to
    SQL happens in the callable that it returns, in one transaction with the move of the job.
    """

    db: Database
    engines: Engines
    flow: Flow[S]
    job_id: str
    subject_id: str
    step: str
    data: dict[str, Any]
    fence: int
    tries: int
    lease: Deadline
    wait_out_seconds: float
    actor: str | None
    project_id: str | None
    request_id: str | None
    subject: S | None = None

    def read(self, fn: Callable[[Tx], T]) -> T:
        """Call `fn` in a transaction of its own, to read more than the subject."""
        return self.db.run(fn)

    def engine(self, interface: type[E]) -> E:
        """The engine of this interface."""
        return self.engines.get(interface)

    def lock(self, tx: Tx) -> S | None:
        """The subject as it is now, locked; for the callable that a step returns. None when it is gone."""
        return self.flow.locked(tx, self.subject_id)

    def wait_out(self) -> Wait | None:
        """For the last step of a delete: a pause while a step that this job was diverted from may still be at work."""
        if self.wait_out_seconds <= 0:
            return None
        return Wait(self.wait_out_seconds, "a step that was overtaken may still be at work")


class Flow(Generic[S]):
    """The steps of one kind of job, each a function `step(run) -> Outcome | callable(tx) -> Outcome`, starting with `start`.

    subject: the model whose row the job is about; it has `Desired`'s columns, or at least an id.
    deadline: after it the job fails (or parks, for what must not be given up, as a delete).
    """

    def __init__(
        self, kind: str, subject: type[S], *, deadline: timedelta, version: int = 1, at_deadline: Literal["fail", "park"] = "fail"
    ) -> None:
        self.kind, self.version, self.subject, self.deadline, self.at_deadline = kind, version, subject, deadline, at_deadline
        self.steps: dict[str, Step] = {}
        self.give_back: Callable[[Tx, S], None] | None = None

    def step(self, fn: Step) -> Step:
        """Register a step under its function's name."""
        self.steps[fn.__name__] = fn
        return fn

    def on_fail(self, fn: Callable[[Tx, S], None]) -> Callable[[Tx, S], None]:
        """Register what gives claims back, in the transaction that writes the fault."""
        self.give_back = fn
        return fn

    def locked(self, tx: Tx, subject_id: str) -> S | None:
        """The subject's row, locked and read afresh."""
        model = cast(Any, self.subject)
        found = tx.execute(select(model).where(model.id == subject_id).with_for_update(of=model).execution_options(populate_existing=True))
        return cast("S | None", found.unique().scalar_one_or_none())

    def current(self, tx: Tx, subject_id: str) -> S | None:
        """The subject's row as it is."""
        model = cast(Any, self.subject)
        return cast("S | None", tx.execute(select(model).where(model.id == subject_id)).unique().scalar_one_or_none())


@dataclass(frozen=True)
class Claimed:
    """A job's row as the claim read it."""

    id: str
    kind: str
    subject_id: str
    step: str
    data: dict[str, Any]
    fence: int
    tries: int
    deaths: int
    lease_until: datetime
    overdue: bool
    wait_out_seconds: float
    actor: str | None
    project_id: str | None
    request_id: str | None
