"""What the flows of a volume note of its size."""

from __future__ import annotations

from common.db import Tx
from common.jobs import Done, Outcome, Run
from common.jobs.flow import Commit
from volume.models import Volume


def sized(run: Run[Volume], size_gib: int) -> Commit:
    """Done, with the size that the store has by now noted: it holds even where the wish has changed since."""

    def note(tx: Tx) -> Outcome:
        volume = run.lock(tx)
        if volume is not None:
            volume.observed_gib = size_gib
        return Done()

    return note


def keep(tx: Tx, volume: Volume) -> None:
    """What could not be brought about is wished for no longer: the volume is what it was, whole and usable, and its fault says why."""
    if volume.observed_gib:
        volume.size_gib = volume.observed_gib
    volume.observed_generation = volume.generation
