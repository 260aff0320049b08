"""`snapshot.delete`: removes a snapshot; volumes made from it live on. The row goes last."""

from __future__ import annotations

from datetime import timedelta

from common.db import Tx
from common.jobs import Done, Flow, Outcome, Run
from common.jobs.flow import Commit
from volume.engine import store_of
from volume.models import Snapshot

FLOW = Flow("snapshot.delete", Snapshot, deadline=timedelta(days=1), at_deadline="park")


@FLOW.step
def start(run: Run[Snapshot]) -> Outcome | Commit:
    """Remove it when nobody can be taking it any more."""
    snapshot = run.subject
    if snapshot is None:
        return Done()
    pause = run.wait_out()
    if pause is not None:
        return pause
    store_of(run).ensure_snapshot_gone(snapshot.volume_id, snapshot.id)
    return lambda tx: _forget(tx, run)


def _forget(tx: Tx, run: Run[Snapshot]) -> Outcome:
    snapshot = run.lock(tx)
    if snapshot is not None:
        tx.delete(snapshot)
        tx.flush()
    return Done()
