"""The gate for a flow (ARCHITECTURE §10): what every flow must live through, written once.

A scenario tells how the flow's work begins, what the outside does meanwhile, and what must hold at the end. The in-memory engines live in the
parent; the worker that is killed is a real child process, which reaches them over a socket.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, select, text

from common.db import Database, clock
from common.jobs import Engines, Flow, Kernel
from common.models import Job

ROOT = Path(__file__).parents[2]
LEASE = 30.0
MOST_TURNS = 300


class Scenario:
    """One flow's story. Subclasses fill in what is raised here; a fresh object is made for every run."""

    name = ""
    flows: tuple[Flow[Any], ...] = ()
    can_edit = False

    def engines(self) -> list[tuple[type, object]]:
        """The in-memory engines, by interface."""
        return []

    def begin(self, db: Database) -> str:
        """Write the subject and its job, in one transaction as a request would; the subject's id."""
        raise NotImplementedError

    def outside(self, db: Database) -> None:
        """What others (an agent, the OVN writer) do by now; called between the worker's turns, and harmless when repeated."""

    def edit(self, db: Database, subject_id: str) -> None:
        """Change the wish as a request would, while the flow is under way."""

    def check(self, db: Database) -> None:
        """What must hold at the end, in SQL and in the engines: nothing stuck, leaked or doubled."""
        raise NotImplementedError

    def check_failed(self, db: Database) -> None:
        """What must hold when the deadline passed while the engine refused everything; the default accepts a parked job."""


class SteppingClock:
    """Moves SQL's clock for every connection of a database, so that leases and deadlines pass without waiting."""

    def __init__(self, db: Database) -> None:
        self.seconds = 0.0
        self.attach(db)

    def attach(self, db: Database) -> None:
        """Set the offset at the begin of every transaction of `db`."""

        @event.listens_for(db.engine, "begin")
        def offset(connection: Any) -> None:
            connection.exec_driver_sql(f"SET LOCAL wolke.clock_offset = '{self.seconds} seconds'")

    def jump(self, seconds: float) -> None:
        """The clock goes forward."""
        self.seconds += seconds


class Injected(Exception):
    """A failure that the gate made."""


class Tap:
    """An engine with the gate in front: counts calls, and does something before or after the n-th."""

    def __init__(self, engine: object, meter: Meter) -> None:
        self._engine, self._meter = engine, meter

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._engine, name)
        if not callable(member):
            return member

        def call(*args: Any, **kwargs: Any) -> Any:
            self._meter.before(name)
            try:
                return member(*args, **kwargs)
            finally:  # a refusal too may be lost on its way
                self._meter.after(name)

        return call


class Meter:
    """What the taps of one run share."""

    def __init__(self, *, fail_at: int | None = None, fail_after: int | None = None, fail_all: bool = False) -> None:
        self.calls = 0
        self.fired: str | None = None
        self._fail_at, self._fail_after, self._fail_all = fail_at, fail_after, fail_all

    def before(self, name: str) -> None:
        """The engine is about to be called."""
        self.calls += 1
        if self._fail_all or self.calls == self._fail_at:
            self.fired = name
            raise Injected(f"before {name}")

    def after(self, name: str) -> None:
        """The engine has done it; the caller does not know yet."""
        if self.calls == self._fail_after:
            self.fired = name
            raise Injected(f"after {name}")


def kernel(db: Database, scenario: Scenario, pairs: Iterable[tuple[type, object]], cls: type[Kernel] = Kernel) -> Kernel:
    """A worker's kernel for the scenario."""
    return cls(db, scenario.flows, Engines(*pairs), lease_seconds=LEASE)


def jobs_left(db: Database) -> int:
    """Jobs that are there."""
    with db.transaction() as tx:
        return len(tx.execute(select(Job.id)).all())


def drain(
    db: Database, scenario: Scenario, worker: Kernel, steps: SteppingClock, *, after_step: Callable[[int], None] | None = None
) -> None:
    """Let a worker run until no job is left; where none is due, time passes. Raises when that does not end."""
    for turn in range(MOST_TURNS):
        scenario.outside(db)
        if worker.run_one():
            if after_step:
                after_step(turn)
            continue
        with db.transaction() as tx:
            rows = tx.execute(select(Job.kind, Job.step, Job.error, Job.due_at.is_(None))).all()
            if not rows:
                return
            if all(row[3] for row in rows):
                raise AssertionError(f"parked: {rows}")
        steps.jump(LEASE + 35.0)
    raise AssertionError(f"{scenario.name} does not end: {rows}")


class OneStep(Kernel):
    """A kernel that ends its turn after each step, so that something can happen between any two."""

    def _run(self, claimed: Any, lease: Any) -> Any:
        following, renewed = super()._run(claimed, lease)
        if following is not None:  # give it back as if this worker had gone, without waiting for the lease
            self.db.run(
                lambda tx: tx.execute(
                    text("UPDATE common.job SET lease_until = NULL, due_at = common.now() WHERE id = :id"), {"id": claimed.id}
                )
            )
        return None, renewed


class Twice(Kernel):
    """A kernel that has every step's effect twice before its one commit: the first worker died between the two."""

    def _step(self, flow: Any, claimed: Any, lease: Any) -> Any:
        super()._step(flow, claimed, lease)
        return super()._step(flow, claimed, lease)


# --- the child that is really killed


def _send(sock: socket.socket, value: Any) -> None:
    data = pickle.dumps(value)
    sock.sendall(struct.pack("!I", len(data)) + data)


def _receive(sock: socket.socket) -> Any:
    def exactly(count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = sock.recv(count - len(got))
            if not part:
                raise EOFError
            got += part
        return got

    return pickle.loads(exactly(struct.unpack("!I", exactly(4))[0]))


class Remote:
    """In the child: an engine that lives in the parent."""

    def __init__(self, sock: socket.socket, index: int) -> None:
        self._sock, self._index = sock, index

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            _send(self._sock, (self._index, name, args, kwargs))
            ok, value = _receive(self._sock)
            if ok:
                return value
            raise value

        return call


def _serve(sock: socket.socket, engines: list[object]) -> None:
    """In the parent: answer the child's calls until it is gone."""
    while True:
        try:
            index, name, args, kwargs = _receive(sock)
        except (EOFError, OSError):
            return
        try:
            answer = (True, getattr(engines[index], name)(*args, **kwargs))
        except Exception as error:  # the child is to see what the engine raised
            answer = (False, error)
        try:
            _send(sock, answer)
        except OSError:
            return


def watched(scenario: Scenario) -> tuple[str, ...]:
    """The files whose lines are kill points: the kernel, where the flows' steps stand, and what these share."""
    files = {flow_file for flow in scenario.flows for flow_file in _files(flow)}
    shared = ("common/jobs/kernel.py", "common/jobs/queue.py", "common/rbd_steps.py")
    return (*(str(ROOT / name) for name in shared), *sorted(files))


def _files(flow: Flow[Any]) -> set[str]:
    return {step.__code__.co_filename for step in flow.steps.values()}


def killed_child(db_url: str, scenario: Scenario, pairs: list[tuple[type, object]], offset: float, at: int | None) -> tuple[int, bool]:
    """Fork a worker that is killed at its `at`-th line (None: never); (lines it ran, whether it was killed)."""
    mine, theirs = socket.socketpair()
    read, write = os.pipe()
    gc.freeze()  # else the child's collector touches, and so copies, all that this process has
    pid = os.fork()
    if pid == 0:
        mine.close()
        os.close(read)
        _child(db_url, scenario, [(kind, Remote(theirs, n)) for n, (kind, _) in enumerate(pairs)], offset, at, write)
    gc.unfreeze()
    theirs.close()
    os.close(write)
    server = threading.Thread(target=_serve, args=(mine, [engine for _, engine in pairs]))
    server.start()
    _, status = os.waitpid(pid, 0)
    mine.close()
    server.join(10)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, f"the child ended by signal {os.WTERMSIG(status)}"
        return at or 0, True
    assert os.WEXITSTATUS(status) == 0, f"the child failed: {said}"
    return int(said or 0), False


def _child(db_url: str, scenario: Scenario, pairs: list[tuple[type, Any]], offset: float, at: int | None, write: int) -> None:
    """Never returns."""
    status = 1
    try:
        files, count = watched(scenario), 0

        def trace(frame: Any, what: str, _arg: Any) -> Any:
            nonlocal count
            if frame.f_code.co_filename not in files:
                return None
            if what == "line":
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        db = Database(db_url, pool_size=2)
        steps = SteppingClock(db)
        steps.jump(offset)
        worker = kernel(db, scenario, pairs)
        sys.settrace(trace)
        while worker.run_one():
            pass
        sys.settrace(None)
        os.write(write, str(count).encode())
        status = 0
    except BaseException as error:
        os.write(write, repr(error).encode()[:4000])
    finally:
        os._exit(status)


def soonest(db: Database) -> timedelta | None:
    """How long until the next job is due."""
    with db.transaction() as tx:
        return tx.execute(select(Job.due_at - clock()).order_by(Job.due_at).limit(1)).scalar()
