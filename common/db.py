"""PostgreSQL: the base of all tables, the transaction, and the locks that every service takes in the same order.

Truth lives here. Nobody outside `common` opens an engine of their own.
"""

from __future__ import annotations

import functools
import json
import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, LiteralString, TypeVar, cast

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import JSON, BigInteger, ColumnElement, DateTime, MetaData, String, Text, TextClause, create_engine, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

LOG = logging.getLogger(__name__)
T = TypeVar("T")
Tx = Session

DEADLOCK = "40P01"
SERIALIZATION = "40001"
DEADLOCK_RETRIES = 3

Fault = dict[str, Any]


class Base(DeclarativeBase):
    """Base of every table. A model names its PostgreSQL schema (its service) in `__table_args__`."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        str: Text(),
        dict[str, Any]: JSONB(),
        dict[str, str]: JSONB(),
        list[str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        Fault: JSONB(none_as_null=True),
    }


def new_uuid() -> str:
    """A random uuid as OpenStack prints it, with dashes."""
    return str(uuid.uuid4())


def clock() -> ColumnElement[datetime]:
    """SQL for the moment: PostgreSQL's clock_timestamp(), moved by the offset that a test may set on the database."""
    return func.common.now(type_=DateTime(timezone=True))


class Identified:
    """A row named by an uuid, with the moments of its creation and last change."""

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=func.clock_timestamp())


class Desired:
    """A row whose wish is brought about later: see ARCHITECTURE §0 for the words.

    A change of the wish raises `generation` in the same transaction; who has brought it about writes `observed_generation`.
    """

    desired: Mapped[str] = mapped_column(String(16), default="present", server_default="present")
    generation: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    observed_generation: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    fault: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    def touch(self) -> None:
        """The wish changed."""
        self.generation = (self.generation or 0) + 1

    @property
    def settled(self) -> bool:
        """Whether the world is as the row wishes."""
        return self.observed_generation == self.generation


class Database:
    """One process's door to PostgreSQL."""

    def __init__(self, url: str, *, pool_size: int = 10, on_commit: Callable[[set[str]], None] | None = None) -> None:
        """`on_commit` is given the topics that a transaction asked to wake, after its COMMIT."""
        # PostgreSQL takes a walk up or down a tree for far longer than it is, and would spend 600 ms on compiling what then takes 40.
        options = "-c timezone=UTC -c jit=off"
        self.engine: Engine = create_engine(
            url, pool_size=pool_size, max_overflow=0, pool_pre_ping=False, pool_use_lifo=True, pool_recycle=1800,
            isolation_level="READ COMMITTED", connect_args={"application_name": "wolke", "options": options}, hide_parameters=True,
            json_deserializer=_loads, use_native_hstore=False,
        )  # fmt: skip
        self._size = pool_size
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self.on_commit = on_commit

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """One transaction: COMMIT at the end of the block, ROLLBACK when it raises; then its wakes."""
        with self._sessions.begin() as tx:
            yield tx
            topics = tx.info.get("wakes")
        if topics and self.on_commit:
            self.on_commit(topics)

    def run(self, fn: Callable[[Tx], T], *, request_id: str | None = None) -> T:
        """Call `fn` in a transaction; what rolled it back without a fault of its own (a deadlock, a connection that had died) calls it again.

        A connection lost at COMMIT leaves open whether it was written: with `request_id` the audit row tells.
        """
        for attempt in range(DEADLOCK_RETRIES + 1):
            result: list[tuple[T, set[str]]] = []
            try:
                with self._sessions.begin() as tx:
                    value = fn(tx)
                    result.append((value, tx.info.get("wakes", set())))
            except DBAPIError as error:
                lost = error.connection_invalidated and bool(result)
                if not (lost and request_id and self._committed(request_id)):
                    self._consider(error, attempt, unknown=lost and not request_id)
                    continue
            value, topics = result[0]
            if topics and self.on_commit:
                self.on_commit(topics)
            return value
        raise AssertionError("unreachable")

    def first(self, statement: TextClause, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first row of a read that needs no transaction; asked again while a pooled connection had died meanwhile. Raises DBAPIError.

        By the driver alone: SQLAlchemy's way to a row takes as long again as PostgreSQL's answer, and every check of a token is one.
        """
        asked = _for_driver(statement, self.engine.dialect)
        for attempt in range(self._size + 1):
            try:
                return self._first(asked, values)
            except DBAPIError as error:
                if attempt == self._size or not error.connection_invalidated:
                    raise
        raise AssertionError("unreachable")

    def _first(self, statement: LiteralString, values: Mapping[str, Any]) -> dict[str, Any] | None:
        with self._lent(statement) as connection:
            connection.autocommit = True
            row = connection.cursor(row_factory=dict_row).execute(statement, values).fetchone()
            connection.autocommit = False
            return row

    @contextmanager
    def _lent(self, statement: str) -> Iterator[psycopg.Connection[Any]]:
        """A pooled connection as the driver has it, for `statement`. After an error, which is told in SQLAlchemy's words, it is closed."""
        pooled, connection = None, None
        try:
            pooled = self.engine.raw_connection()
            connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
            yield connection
            pooled.close()
        except BaseException as error:
            lost = connection is not None and connection.closed
            if pooled is not None:
                pooled.invalidate()
            if not isinstance(error, psycopg.Error):
                raise
            said = DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost)
            raise cast("DBAPIError", said) from error

    def _consider(self, error: DBAPIError, attempt: int, *, unknown: bool) -> None:
        """Sleep a little before another try, or raise `error` where another must not or may not help."""
        if unknown or attempt == DEADLOCK_RETRIES or not _retryable(error):
            raise error
        LOG.info("transaction is repeated: %s", str(error.orig).splitlines()[0])
        time.sleep(random.uniform(0.005, 0.02 * (attempt + 1)))

    def _committed(self, request_id: str) -> bool:
        """Whether the transaction with this audit row was written; asked for up to 10 s while the server is away."""
        from common.clock import Deadline

        deadline = Deadline(10)
        while True:
            try:
                with self.engine.connect() as connection:
                    found = connection.execute(text("SELECT 1 FROM common.audit WHERE request_id = :id"), {"id": request_id})
                    return found.scalar() is not None
            except DBAPIError:
                if deadline.passed:
                    raise
                time.sleep(0.2)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _loads(raw: bytes) -> Any:
    """A value of JSON as PostgreSQL sends it, in UTF-8; most are empty objects, which a list of rows has by thousands."""
    return {} if raw == b"{}" else json.loads(raw.decode())


@functools.lru_cache(maxsize=256)
def _for_driver(statement: TextClause, dialect: Dialect) -> LiteralString:
    return str(statement.compile(dialect=dialect))


def _retryable(error: DBAPIError) -> bool:
    """Whether nothing was written and the same call may do better: a deadlock, or a pooled connection that the server had closed."""
    return getattr(error.orig, "sqlstate", None) in (DEADLOCK, SERIALIZATION) or error.connection_invalidated


def wake(tx: Tx, *topics: str) -> None:
    """After this transaction's COMMIT, tell `topics` to look."""
    tx.info.setdefault("wakes", set()).update(topics)


def lock_projects(tx: Tx, *project_ids: str) -> None:
    """Hold the quota locks of these projects to the end of the transaction. Always the first lock that a transaction takes; never in a savepoint."""
    held: set[str] = tx.info.setdefault("projects", set())
    for project_id in sorted(set(project_ids) - held):
        lock_name(tx, "project:" + project_id)
        held.add(project_id)


def lock_name(tx: Tx, name: str) -> None:
    """Hold the advisory lock `name` to the end of the transaction (first use of a default, an allocation)."""
    tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": name})


def row_to_dict(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """The named attributes of a row."""
    return {name: getattr(row, name) for name in names}


__all__ = [
    "JSON", "JSONB", "Base", "Database", "Desired", "Fault", "Identified", "Tx", "clock", "lock_name", "lock_projects",
    "new_uuid", "row_to_dict", "wake",
]  # fmt: skip
