"""What the volume service does in a worker: its flows, its engine, and the sweep of what clones held."""

from __future__ import annotations

from common.cmd.worker import Parts
from common.config import CONF
from common.rbd import Ceph
from volume.engine.store import VolumeStore
from volume.flows import snapshot_create, snapshot_delete, volume_create, volume_delete

PURGE_SECONDS = 60.0


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for volumes."""
    store = VolumeStore(Ceph(CONF.ceph.conf, CONF.ceph.user, timeout=CONF.ceph.timeout))
    parts.flows += [volume_create.FLOW, volume_delete.FLOW, snapshot_create.FLOW, snapshot_delete.FLOW]
    parts.engines.add(VolumeStore, store)
    parts.sweeps.append(("volume-trash", PURGE_SECONDS, store.purge))
