"""The database's history: one epoch until the server is another, or an operator says that data was lost."""

from __future__ import annotations

from sqlalchemy import update

from common import epoch
from common.models import Epoch


def test_it_begins_with_one_and_stays(db):
    assert db.run(epoch.current) == epoch.History(1, True)
    assert db.run(epoch.current) == epoch.History(1, True)


def test_another_server_raises_it_once_and_stops_the_sweeps(db):
    db.run(epoch.current)
    db.run(lambda tx: tx.execute(update(Epoch).values(system_identifier="another")))
    assert db.run(epoch.current) == epoch.History(2, False)
    assert db.run(epoch.current) == epoch.History(2, False)
    db.run(epoch.resume_sweeping)
    assert db.run(epoch.current) == epoch.History(2, True)


def test_another_timeline_raises_it(db):
    db.run(epoch.current)
    db.run(lambda tx: tx.execute(update(Epoch).values(timeline=99)))
    assert db.run(epoch.current).epoch == 2


def test_an_operator_says_that_data_was_lost(db):
    assert db.run(epoch.restored) == epoch.History(2, False)


def test_the_timeline_is_the_one_that_is_written(db):
    from sqlalchemy import text

    system, timeline = db.run(lambda tx: tx.execute(epoch.IDENTITY).one())
    assert (len(system) > 10, timeline) == (True, 1)
    assert db.run(lambda tx: tx.execute(text("SELECT current_setting('timezone')")).scalar()) == "UTC"
