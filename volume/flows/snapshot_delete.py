"""`snapshot.delete`: removes a snapshot once no volume is being made from it; those that were live on. The row goes last."""

from __future__ import annotations

from datetime import timedelta

from common.jobs import Done, Flow, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd_steps import finish_removal
from volume.engine import store_of
from volume.models import Snapshot
from volume.service.rows import is_being_copied

FLOW = Flow("snapshot.delete", Snapshot, deadline=timedelta(days=1), at_deadline="park")
COPY_SECONDS = 3.0


@FLOW.step
def start(run: Run[Snapshot]) -> Outcome | Commit:
    """Remove it when nobody can be taking it any more."""
    snapshot = run.subject
    if snapshot is None:
        return Done()
    if run.read(lambda tx: is_being_copied(tx, snapshot.id)):  # none begins any more: its row has been locked and seen to go
        return Wait(COPY_SECONDS, "a volume is being made from it")
    return finish_removal(run, lambda _: store_of(run).ensure_snapshot_gone(snapshot.volume_id, snapshot.id))
