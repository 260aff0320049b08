"""What the volume service does in a worker: its flows, its engine, and the sweeps of its trash and of unsure sizes."""

from __future__ import annotations

from common import trash
from common.cmd.worker import Parts
from common.rbd import BlockStore, cluster
from volume.engine.store import VolumeStore
from volume.flows import sizes, snapshot_create, snapshot_delete, volume_create, volume_delete, volume_extend
from volume.names import POOL


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for volumes."""
    blocks = cluster()
    parts.flows += [volume_create.FLOW, volume_extend.FLOW, volume_delete.FLOW, snapshot_create.FLOW, snapshot_delete.FLOW]
    parts.engines.add(BlockStore, blocks)
    trash.sweep(parts, blocks, POOL)
    parts.sweeps.append(("volume-sizes", sizes.RECHECK_SECONDS, lambda: sizes.recheck(parts.db, VolumeStore(blocks))))
