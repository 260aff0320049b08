"""The serial console's log: a question to the server's host, asked and answered through rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

from sqlalchemy import Interval, delete, literal, select

from common.auth import Actor
from common.clock import Deadline
from common.config import CONF
from common.db import Tx, clock, new_uuid, wake
from common.errors import Conflict, NotFound, ServiceUnavailable
from compute.models import Host, Question
from compute.names import host_topic
from compute.placement import is_up
from compute.service import servers

Answer = tuple[str | None, str | None]
ANSWER_SECONDS = 5.0
FORGET_SECONDS = 300
KIND = "console_output"


@cache
def _seats() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, CONF.api.threads // 4))


@contextmanager
def seat() -> Iterator[None]:
    """Leave to wait for an answer: a quarter of the threads may, the others serve. Raises ServiceUnavailable when all wait."""
    seats = _seats()
    if not seats.acquire(blocking=False):
        raise ServiceUnavailable("Too many requests wait for consoles' output. Try again.", headers={"Retry-After": "1"})
    try:
        yield
    finally:
        seats.release()


def ask(tx: Tx, actor: Actor, server_id: str, length: int | None) -> str:
    """Put the question; its id. Raises NotFound; Conflict while the server has not run yet; ServiceUnavailable when its host is down."""
    server = servers.get(tx, actor, server_id)
    host_id = servers.host_of(tx, server_id)
    if host_id is None or server.launched_at is None or server.desired == "absent":
        raise Conflict(f"Instance {server_id} is not ready")
    if not tx.execute(select(is_up()).select_from(Host).where(Host.id == host_id)).scalar():
        raise ServiceUnavailable("The server's host does not answer now. Try again later.", headers={"Retry-After": "30"})
    tx.execute(delete(Question).where(Question.asked_at < clock() - literal(timedelta(seconds=FORGET_SECONDS), Interval())))
    question = Question(id=new_uuid(), host_id=host_id, server_id=server_id, kind=KIND, length=length)
    tx.add(question)
    wake(tx, host_topic(host_id))
    return question.id


def wait(read: Callable[[Callable[[Tx], Answer | None]], Answer | None], question_id: str) -> str:
    """The answer, looked for until it is there, for up to 5 s; `read` runs a function in a transaction.

    Raises ServiceUnavailable when none comes, NotFound when the host has no log.
    """
    deadline = Deadline(ANSWER_SECONDS)
    pause = 0.05
    while True:
        found = read(lambda tx: _take(tx, question_id))
        if found is not None:
            break
        if deadline.passed:
            raise ServiceUnavailable("The server's host did not answer in 5 seconds. Try again.", headers={"Retry-After": "5"})
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    output, error = found
    if output is None:
        raise NotFound(f"Unable to get console: {error or 'there is none'}")
    return output


def _take(tx: Tx, question_id: str) -> Answer | None:
    """(output, error) once there is an answer, which is then removed."""
    row = tx.execute(select(Question.output, Question.error, Question.answered_at).where(Question.id == question_id)).first()
    if row is None:
        return None, "the question is gone"
    if row.answered_at is None:
        return None
    tx.execute(delete(Question).where(Question.id == question_id))
    return row.output, row.error
