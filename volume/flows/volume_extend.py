"""`volume.extend`: grows a volume to the size that its row wishes; where that fails, the row goes back to the size that it has."""

from __future__ import annotations

from datetime import timedelta

from common.jobs import Done, Fail, Flow, Outcome, Run
from common.jobs.flow import Commit
from common.rbd import StoreFull, StoreNotFound
from volume.engine import store_of
from volume.flows import sizes
from volume.models import Volume
from volume.names import GIB

FLOW = Flow("volume.extend", Volume, deadline=timedelta(hours=1))
FLOW.on_fail(sizes.keep)


@FLOW.step
def start(run: Run[Volume]) -> Outcome | Commit:
    """Set the size."""
    volume = run.subject
    if volume is None or volume.desired == "absent":
        return Done()
    store = store_of(run)
    try:
        size = store.ensure_size(volume.id, volume.size_gib * GIB)
    except StoreNotFound:
        return sizes.noted(run, None, Fail(404, "The volume's data is gone."))
    except StoreFull:  # of an earlier try it may have grown
        return sizes.noted(run, store.size(volume.id), Fail(413, "There is not enough room for the volume."))
    return sizes.noted(run, size, Done())
