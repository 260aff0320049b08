"""`volume.create`: brings about a volume, empty or as a copy-on-write clone of an image's raw form or of a snapshot."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common.jobs import Done, Fail, Flow, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd import SnapshotName, StoreBusy, StoreFull, StoreNotFound
from image import public as image_public
from volume.engine import store_of
from volume.flows import sizes
from volume.models import Snapshot, Volume
from volume.names import GIB

FLOW = Flow("volume.create", Volume, deadline=timedelta(hours=6))
IMAGE_SECONDS = 1.0


@FLOW.step
def start(run: Run[Volume]) -> Outcome | Commit:
    """Make it, and remove what workers that died over it left."""
    volume = run.subject
    if volume is None or volume.desired == "absent":
        return Done()
    found = _source(run, volume)
    if found is not None and not isinstance(found, SnapshotName):
        return found
    store = store_of(run)
    try:
        store.ensure_volume(volume.id, volume.size_gib * GIB, run.fence, source=found)
        store.ensure_unfinished_gone(volume.id)
    except StoreNotFound:
        return Fail(400, "What the volume was to be made from is gone.")
    except StoreFull:
        return Fail(413, "There is not enough room for the volume.")
    except StoreBusy:
        return Wait(IMAGE_SECONDS, "what an earlier attempt left is still open")
    return sizes.noted(run, volume.size_gib * GIB, Done())


def _source(run: Run[Volume], volume: Volume) -> SnapshotName | Outcome | None:
    """What to clone; None for an empty volume; or the outcome of the step."""
    if volume.snapshot_id is not None:
        snapshot_id = volume.snapshot_id
        parent = run.read(lambda tx: tx.execute(select(Snapshot.volume_id).where(Snapshot.id == snapshot_id)).scalar())
        return store_of(run).source(parent, snapshot_id) if parent else Fail(404, f"Snapshot {snapshot_id} is gone.")
    if volume.image_id is not None:
        image_id = volume.image_id
        return _image(image_id, run.read(lambda tx: image_public.boot_image(tx, image_id)))
    return None


def _image(image_id: str, boot: image_public.BootImage | None) -> SnapshotName | Outcome:
    if boot is None:
        return Fail(404, f"Image {image_id} is gone.")
    if boot.failure:
        return Fail(400, f"Image {image_id} is unacceptable: {boot.failure}")
    if not boot.ready:
        return Wait(IMAGE_SECONDS, f"the raw form of image {image_id} is being made")
    return SnapshotName(boot.pool, boot.rbd_image, boot.snapshot)
