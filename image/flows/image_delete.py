"""`image.delete`: removes an image's data, its twin and the leftovers of both; clones live on."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common.jobs import Done, Flow, Goto, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd import StoreBusy
from common.rbd_steps import finish_removal
from image.engine import store_of
from image.models import Image

FLOW = Flow("image.delete", Image, deadline=timedelta(days=1), at_deadline="park")
BUSY_SECONDS = 5.0


@FLOW.step
def start(run: Run[Image]) -> Outcome:
    """Remove what is there."""
    if run.subject is None:
        return Done()
    return _remove(run) or Goto("last_look")


@FLOW.step
def last_look(run: Run[Image]) -> Outcome | Commit:
    """When nobody can be at work any more, look once more; then the row goes."""
    if run.read(lambda tx: bool(tx.execute(select(Image.uploading).where(Image.id == run.subject_id)).scalar())):
        return Wait(BUSY_SECONDS, "an upload may still be running")
    return finish_removal(run, _remove)


def _remove(run: Run[Image]) -> Outcome | None:
    try:
        store_of(run).ensure_only(run.subject_id)
    except StoreBusy:
        return Wait(BUSY_SECONDS, "the data is open somewhere")
    return None
