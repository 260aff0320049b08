"""`volume.delete`: removes a volume; what was cloned from it lives on. The row goes last."""

from __future__ import annotations

from datetime import timedelta

from common.jobs import Done, Flow, Goto, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd import StoreBusy
from common.rbd_steps import finish_removal
from volume.engine import store_of
from volume.models import Volume
from volume.service.rows import has_snapshots

FLOW = Flow("volume.delete", Volume, deadline=timedelta(days=1), at_deadline="park")
BUSY_SECONDS = 3.0


@FLOW.step
def start(run: Run[Volume]) -> Outcome:
    """Remove what is there, once its snapshots are gone."""
    if run.subject is None:
        return Done()
    if run.read(lambda tx: has_snapshots(tx, run.subject_id)):
        return Wait(BUSY_SECONDS, "its snapshots are being removed")
    return _remove(run) or Goto("last_look")


@FLOW.step
def last_look(run: Run[Volume]) -> Outcome | Commit:
    """When nobody can be at work any more, look once more; then the row goes."""
    return finish_removal(run, _remove)


def _remove(run: Run[Volume]) -> Outcome | None:
    try:
        store_of(run).ensure_gone(run.subject_id)
    except StoreBusy:
        return Wait(BUSY_SECONDS, "the volume is open somewhere")
    return None
