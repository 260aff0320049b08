"""`snapshot.delete`: removes a snapshot; volumes made from it live on. The row goes last."""

from __future__ import annotations

from datetime import timedelta

from common.jobs import Done, Flow, Outcome, Run
from common.jobs.flow import Commit
from common.rbd_steps import finish_removal
from volume.engine import store_of
from volume.models import Snapshot

FLOW = Flow("snapshot.delete", Snapshot, deadline=timedelta(days=1), at_deadline="park")


@FLOW.step
def start(run: Run[Snapshot]) -> Outcome | Commit:
    """Remove it when nobody can be taking it any more."""
    snapshot = run.subject
    if snapshot is None:
        return Done()
    return finish_removal(run, lambda _: store_of(run).ensure_snapshot_gone(snapshot.volume_id, snapshot.id))
