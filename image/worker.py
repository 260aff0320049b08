"""What the image service does in a worker: its flows, its engines, and the sweep of what clones held."""

from __future__ import annotations

from common import epoch
from common.cmd.worker import Parts
from common.db import Database
from common.rbd import BlockStore
from image.engine import engine
from image.engine.convert import Converter
from image.engine.store import ImageStore
from image.flows import image_data, image_delete

PURGE_SECONDS = 60.0


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for images."""
    store = engine()
    parts.flows += [image_data.FLOW, image_delete.FLOW]
    parts.engines.add(BlockStore, store.blocks)
    parts.engines.add(Converter, Converter(store))
    parts.sweeps.append(("image-trash", PURGE_SECONDS, lambda: _purge(parts.db, store)))


def _purge(db: Database, store: ImageStore) -> None:
    """After a restore of the database nothing is purged until an operator says so: what looks deleted may be wanted back."""
    if db.run(epoch.current).sweeping:
        store.purge()
