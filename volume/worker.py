"""What the volume service does in a worker: its flows, its engine, and the sweep of what clones held."""

from __future__ import annotations

from common import epoch
from common.cmd.worker import Parts
from common.db import Database
from common.rbd import BlockStore, cluster
from volume.engine.store import VolumeStore
from volume.flows import snapshot_create, snapshot_delete, volume_create, volume_delete, volume_extend

PURGE_SECONDS = 60.0


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for volumes."""
    blocks = cluster()
    parts.flows += [volume_create.FLOW, volume_extend.FLOW, volume_delete.FLOW, snapshot_create.FLOW, snapshot_delete.FLOW]
    parts.engines.add(BlockStore, blocks)
    parts.sweeps.append(("volume-trash", PURGE_SECONDS, lambda: _purge(parts.db, VolumeStore(blocks))))


def _purge(db: Database, store: VolumeStore) -> None:
    """After a restore of the database nothing is purged until an operator says so: what looks deleted may be wanted back."""
    if db.run(epoch.current).sweeping:
        store.purge()
