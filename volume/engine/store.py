"""How a volume lies in the pool `volumes`: `volume-<id>`, with snapshots `snapshot-<id>`.

A volume is made as `volume-<id>.<fence>` and renamed when it is whole, so that the name without a fence never names half a clone.
"""

from __future__ import annotations

from common.rbd import BlockStore, SnapshotName, StoreNotFound
from common.rbd_steps import ensure_gone, ensure_snapshot, make_whole
from volume.names import POOL, snapshot_name, volume_name


class VolumeStore:
    """Volumes in a block store. Every call may raise common.rbd.StoreError; each `ensure_*` may be repeated."""

    def __init__(self, blocks: BlockStore, *, pool: str = POOL) -> None:
        self.blocks, self.pool = blocks, pool

    def ensure_volume(self, volume_id: str, size: int, fence: int, *, source: SnapshotName | None = None) -> None:
        """Bring about a volume of `size` bytes, empty or a copy-on-write clone of `source`; a volume that is whole is left as it is.

        Raises StoreNotFound when `source` is gone.
        """
        name = volume_name(volume_id)
        if self.blocks.info(self.pool, name) is not None:
            return
        partial = f"{name}.{fence}"
        ensure_gone(self.blocks, self.pool, partial)
        if source is None:
            self.blocks.create(self.pool, partial, size)
        else:
            self.blocks.clone(source, self.pool, partial)
            self._grow(partial, size)
        make_whole(self.blocks, self.pool, partial, name)

    def ensure_size(self, volume_id: str, size: int) -> int:
        """Grow a volume to `size` bytes; it never shrinks. Returns the bytes that it then has. Raises StoreNotFound."""
        return self._grow(volume_name(volume_id), size)

    def _grow(self, name: str, size: int) -> int:
        info = self.blocks.info(self.pool, name)
        if info is None:
            raise StoreNotFound(f"{self.pool}/{name}: not found")
        if info.size < size:
            self.blocks.resize(self.pool, name, size)
        return max(info.size, size)

    def size(self, volume_id: str) -> int | None:
        """Size in bytes; None where the volume is not."""
        info = self.blocks.info(self.pool, volume_name(volume_id))
        return info.size if info else None

    def ensure_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        """Take a snapshot unless it is there. Raises StoreNotFound where the volume is not."""
        ensure_snapshot(self.blocks, self.pool, volume_name(volume_id), snapshot_name(snapshot_id))

    def ensure_snapshot_gone(self, volume_id: str, snapshot_id: str) -> None:
        """Remove a snapshot; volumes made from it live on."""
        try:
            self.blocks.remove_snapshot(self.pool, volume_name(volume_id), snapshot_name(snapshot_id))
        except StoreNotFound:
            return

    def source(self, volume_id: str, snapshot_id: str) -> SnapshotName:
        """What a volume from a snapshot is cloned from."""
        return SnapshotName(self.pool, volume_name(volume_id), snapshot_name(snapshot_id))

    def ensure_unfinished_gone(self, volume_id: str) -> None:
        """Remove what dying or overtaken workers left beside the volume."""
        self._remove(volume_id, keep=volume_name(volume_id))

    def ensure_gone(self, volume_id: str) -> None:
        """Remove a volume, its snapshots and its leftovers; clones of it live on. Raises StoreBusy while it is open somewhere."""
        self._remove(volume_id, keep=None)

    def _remove(self, volume_id: str, *, keep: str | None) -> None:
        for name in self.names_of(volume_id):
            if name != keep:
                ensure_gone(self.blocks, self.pool, name)

    def names_of(self, volume_id: str) -> list[str]:
        """The RBD images that belong to a volume."""
        name = volume_name(volume_id)
        return [n for n in self.blocks.names(self.pool) if n == name or n.startswith(name + ".")]
