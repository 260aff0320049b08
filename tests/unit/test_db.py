"""A row by the driver alone: what SQLAlchemy would do for it is done here too."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

from common.db import Database

ONE = text("SELECT :given AS given, 100 % 7 AS rest")
PID = text("SELECT pg_backend_pid() AS pid")
END = text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


def fill(db: Database, count: int) -> set[int]:
    """As many connections in the pool, by their servers' pids."""
    together = Barrier(count)

    def ask(_: int) -> int:
        with db.engine.connect() as connection:
            together.wait(30)
            pid: int = connection.execute(PID).scalar_one()
            return pid

    with ThreadPoolExecutor(count) as threads:
        return set(threads.map(ask, range(count)))


def test_the_first_row_or_none(db):
    assert db.first(ONE, {"given": "50 %"}) == {"given": "50 %", "rest": 2}
    assert db.first(text("SELECT 1 AS n WHERE :no"), {"no": False}) is None
    assert db.first(text("SELECT n FROM generate_series(1, 3) n ORDER BY n DESC"), {}) == {"n": 3}


def test_no_connection_that_the_server_ended_is_used_again(db):
    before = fill(db, 4)
    assert len(before) == 4
    other = Database(db.engine.url.render_as_string(hide_password=False))
    other.first(END, {})
    other.close()
    together = Barrier(4)

    def ask(_: int) -> int:
        together.wait(30)
        row = db.first(PID, {})
        assert row is not None
        pid: int = row["pid"]
        return pid

    with ThreadPoolExecutor(4) as threads:
        assert not {*threads.map(ask, range(4))} & before


def test_who_waits_for_a_connection_gets_the_place_of_one_that_was_lost(db):
    """At once: a pool lets nobody wait for longer than 30 s, and that would be a refusal."""
    small = Database(db.engine.url.render_as_string(hide_password=False), pool_size=1)
    small.engine.pool._timeout = 10
    with ThreadPoolExecutor(2) as threads:
        lost = threads.submit(small.first, text("SELECT pg_sleep(0.5), pg_terminate_backend(pg_backend_pid())"), {})
        while not small.engine.pool.checkedout() and not lost.done():
            time.sleep(0.005)
        waits = threads.submit(small.first, ONE, {"given": 1})
        assert waits.result(30) == {"given": 1, "rest": 2}
        with pytest.raises(OperationalError):
            lost.result(30)
    assert small.engine.pool.checkedout() == 0
    small.close()


@pytest.mark.parametrize(
    ("statement", "values", "kind"),
    [
        (ONE, {"given": "a\x00b"}, DataError),
        (text("SELECT 1 / :n"), {"n": 0}, DataError),
        (text("SELECT nothing_of_this_name"), {}, ProgrammingError),
        (ONE, {"given": object()}, ProgrammingError),
        (ONE, {"given": "\ud800"}, UnicodeEncodeError),
        (text("SELECT pg_terminate_backend(pg_backend_pid())"), {}, OperationalError),
    ],
)
def test_errors_are_sqlalchemys_and_leave_no_connection_of_another_mode(db, statement, values, kind):
    """A transaction after it is one: what it wrote goes with it."""
    small = Database(db.engine.url.render_as_string(hide_password=False), pool_size=1)
    with pytest.raises(kind):
        small.first(statement, values)
    small.run(lambda tx: tx.execute(text("CREATE TABLE kept (n int)")))

    def write(tx):
        tx.execute(text("INSERT INTO kept VALUES (1)"))
        raise KeyError

    with pytest.raises(KeyError):
        small.run(write)
    assert small.first(text("SELECT count(*) AS n FROM kept"), {}) == {"n": 0}
    small.close()


def test_a_server_that_is_away_is_an_operational_error(db):
    nowhere = Database(db.engine.url.set(database="nobody_made_it").render_as_string(hide_password=False))
    with pytest.raises(OperationalError, match="nobody_made_it"):
        nowhere.first(ONE, {"given": 1})


def test_json_comes_back_as_it_went(db):
    odd = {"": {}, "big": 2**70, "list": [{}, None, 1.5, "é\U0001f600"], "nested": {"a": {}}}
    row = db.first(text("SELECT CAST(:it AS jsonb) AS it, '{}'::json AS plain, 'null'::jsonb AS null"), {"it": json.dumps(odd)})
    assert row == {"it": odd, "plain": {}, "null": None}
    again = db.run(lambda tx: tx.execute(text("SELECT CAST(:it AS jsonb)"), {"it": json.dumps(odd)}).scalar_one())
    assert again == odd
