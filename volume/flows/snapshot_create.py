"""`snapshot.create`: takes a snapshot of a volume."""

from __future__ import annotations

from datetime import timedelta

from common.jobs import Done, Fail, Flow, Outcome, Run
from common.rbd import StoreFull, StoreNotFound
from volume.engine import store_of
from volume.models import Snapshot

FLOW = Flow("snapshot.create", Snapshot, deadline=timedelta(hours=1))


@FLOW.step
def start(run: Run[Snapshot]) -> Outcome:
    """Take it."""
    snapshot = run.subject
    if snapshot is None or snapshot.desired == "absent":
        return Done()
    try:
        store_of(run).ensure_snapshot(snapshot.volume_id, snapshot.id)
    except StoreNotFound:
        return Fail(404, f"Volume {snapshot.volume_id} is gone.")
    except StoreFull:
        return Fail(413, "There is not enough room for the snapshot.")
    return Done()
