"""`image.data`: follows an upload to its end; sweeps what a dead one left; makes the raw twin of data that is not raw.

Begun with the upload, so that whatever happens to it somebody looks. The conversion is a child's, followed from step to step.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common import epoch
from common.db import Tx
from common.jobs import Done, Fail, Flow, Goto, Outcome, Run, Wait
from common.jobs.flow import START, Commit
from common.rbd import StoreBusy
from image.engine import store_of
from image.engine.convert import Converter
from image.models import Image
from image.names import twin_name, upload_of

FLOW = Flow("image.data", Image, deadline=timedelta(days=1))
LOOK_SECONDS = 30.0
FOLLOW_SECONDS = 1.0
BUSY_SECONDS = 5.0
ATTEMPTS = 3


@FLOW.step
def start(run: Run[Image]) -> Outcome | Commit:
    """Wait for the upload; sweep; see what is left to do."""
    image = run.subject
    if image is None or image.desired == "absent":
        return Done()
    pause = _upload_pause(run, image) or _sweep(run, image)
    if pause is not None:
        return pause
    if image.data is None:
        return lambda tx: _give_up(tx, run)
    if image.disk_format == "raw" or store_of(run).has_twin(image.id):
        return Done()
    return Goto("convert", {"target": None, "attempts": 0})


def _upload_pause(run: Run[Image], image: Image) -> Outcome | None:
    """Nothing is swept while an upload may still end well, or has ended since the row was read. An upload that is dead stays so."""
    if image.data is not None:
        return None
    now = run.read(lambda tx: tx.execute(select(Image.data, Image.uploading).where(Image.id == image.id)).one_or_none())
    if now is None or now.data is not None:
        return Goto(START)
    return Wait(LOOK_SECONDS, "the data is being uploaded") if now.uploading else None


def _sweep(run: Run[Image], image: Image) -> Wait | None:
    """Remove what the row does not name; or why that must wait."""
    store = store_of(run)
    extra = [name for name in store.names_of(image.id) if not _wanted(image, name)]
    if extra and not run.read(epoch.current).sweeping:
        reason = "the database is another one than before: nothing is swept until an operator says so"
        return None if image.data else Wait(LOOK_SECONDS, reason)
    try:
        store.ensure_gone(*extra)
    except StoreBusy:
        return Wait(BUSY_SECONDS, "what an upload or a conversion left is still open")
    return None


def _wanted(image: Image, name: str) -> bool:
    """What is not swept: the data and its twin, or else what uploads begun since may be writing by now."""
    if image.data:
        return name in (image.data, twin_name(image.id))
    return (upload_of(image.id, name) or 0) > image.upload


def _uploading(tx: Tx, image_id: str) -> bool:
    return bool(tx.execute(select(Image.uploading).where(Image.id == image_id)).scalar())


def _give_up(tx: Tx, run: Run[Image]) -> Outcome:
    """The upload is dead and its bytes are gone: the image can be uploaded again, unless somebody has begun to."""
    image = run.lock(tx)
    if image is None:
        return Done()
    if run.subject is None or image.upload != run.subject.upload or _uploading(tx, image.id):
        return Goto(START)
    image.upload_until = None
    return Done()


@FLOW.step
def convert(run: Run[Image]) -> Outcome:
    """Begin the conversion, or look how it goes."""
    image, target = run.subject, run.data.get("target")
    if image is None or image.desired == "absent" or image.data is None:
        return Goto(START)
    store = store_of(run)
    if target is None:
        return _begin(run, image, image.data)
    progress = store.progress(image.id, int(target))
    if progress.whole:
        return Goto("commit")
    if progress.running:
        return Wait(FOLLOW_SECONDS, "the raw form is being made")
    return _again(run.data.get("attempts", 0) + 1, progress.failure)


def _begin(run: Run[Image], image: Image, data: str) -> Outcome:
    store = store_of(run)
    begun = store.progress(image.id, run.fence)
    if not begun.running and not begun.whole:
        name = store.prepare_twin(image.id, run.fence, image.virtual_size or 0)
        if not run.engine(Converter).begin(data, name):
            return Wait(BUSY_SECONDS, "as many conversions run as may")
    return Wait(FOLLOW_SECONDS, "the raw form is being made", {"target": run.fence})


def _again(attempt: int, failure: str) -> Outcome:
    if failure and attempt >= ATTEMPTS:
        return Fail(400, f"The image cannot be converted for booting: {failure}")
    return Wait(FOLLOW_SECONDS * attempt, failure or "the conversion was cut short", {"target": None, "attempts": attempt})


@FLOW.step
def commit(run: Run[Image]) -> Outcome:
    """Give the raw form its lasting name; `start` removes what else there is."""
    store_of(run).commit_twin(run.subject_id, int(run.data["target"]))
    return Goto(START)
