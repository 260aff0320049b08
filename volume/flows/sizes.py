"""What the flows of a volume note of its size, and the sweep that asks for the sizes that no flow could learn."""

from __future__ import annotations

import logging
from functools import partial

from sqlalchemy import select

from common.db import Database, Tx
from common.jobs import Outcome, Run
from common.jobs.flow import Commit
from common.rbd import StoreError, StoreUnavailable
from volume.engine.store import VolumeStore
from volume.models import Volume
from volume.names import GIB

LOG = logging.getLogger(__name__)
RECHECK_SECONDS = 60.0


def noted(run: Run[Volume], size: int | None, outcome: Outcome) -> Commit:
    """`outcome`, with the bytes that the store has by now noted, None where it has no such volume: true even if the wish has changed since."""

    def note(tx: Tx) -> Outcome:
        volume = run.lock(tx)
        if volume is not None and size is None:
            _lost(volume)
        elif volume is not None and size is not None:
            volume.observed_gib = _gib(size)
            volume.size_gib = max(volume.size_gib, volume.observed_gib)
        return outcome

    return note


def keep(tx: Tx, volume: Volume) -> None:
    """What could not be brought about is wished for no longer: the volume is what it was, whole and usable, and its fault says why."""
    if volume.observed_gib:
        volume.size_gib = volume.observed_gib
    volume.observed_generation = volume.generation


def recheck(db: Database, store: VolumeStore) -> None:
    """Ask the store for the size of each volume that could not be grown: given up while the store was silent, it may have grown all the same."""
    for volume_id, generation in db.run(_failed):
        try:
            size = store.size(volume_id)
        except StoreUnavailable:
            raise
        except StoreError:
            LOG.warning("the size of volume %s is not known", volume_id, exc_info=True)
            continue
        db.run(partial(_correct, volume_id=volume_id, generation=generation, size=size))


def _failed(tx: Tx) -> list[tuple[str, int]]:
    """Those whose fault is that of growing; there is no job for them, as a new wish takes the fault away."""
    failed = (Volume.desired == "present") & Volume.fault.is_not(None) & (Volume.observed_gib > 0)
    found = tx.execute(select(Volume.id, Volume.generation).where(failed).order_by(Volume.id))
    return [(row.id, row.generation) for row in found]


def _correct(tx: Tx, volume_id: str, generation: int, size: int | None) -> None:
    """What was seen of a volume holds unless it was wished otherwise meanwhile."""
    statement = select(Volume).where(Volume.id == volume_id, Volume.generation == generation, Volume.fault.is_not(None))
    volume = tx.execute(statement.with_for_update().execution_options(populate_existing=True)).scalar_one_or_none()
    if volume is None:
        return
    if size is None:
        _lost(volume)
    else:
        volume.size_gib = volume.observed_gib = _gib(size)


def _lost(volume: Volume) -> None:
    """A volume without data is as one that was never made, of the size that it had."""
    volume.size_gib, volume.observed_gib = volume.observed_gib or volume.size_gib, 0


def _gib(size: int) -> int:
    """The GiB that hold `size` bytes."""
    return -(-size // GIB)
