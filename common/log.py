"""Logs as JSON, a line each, with the ids of the request, job and actor in hand."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_context: ContextVar[dict[str, str]] = ContextVar("log_context")  # a default would be one shared, mutable dict


@contextmanager
def context(**ids: str | None) -> Iterator[None]:
    """Add `ids` (request_id, job_id, project_id …) to every line that this thread logs inside the block."""
    mine = {**_context.get({}), **{key: value for key, value in ids.items() if value}}
    token = _context.set(mine)
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    """One record, one JSON object: time, level, logger, message, ids, traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get({}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def setup(process: str, level: str = "INFO") -> None:
    """Send every log line of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for noisy in ("amqp", "oslo.messaging", "oslo_messaging", "oslo_policy", "ovsdbapp", "stevedore", "futurist", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
