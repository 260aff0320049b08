"""How root disks lie in the pool `vms`: `<server id>_disk`, a copy-on-write clone of an image's raw form.

A disk is made as `<server id>_disk.<fence>` and renamed when it is whole, so that the name without a fence never names half a clone.
"""

from __future__ import annotations

from common.rbd import BlockStore, SnapshotName, StoreExists
from common.rbd_steps import ensure_gone, make_whole
from compute.names import POOL, disk_name


class DiskStore:
    """Root disks in a block store. Every call may raise common.rbd.StoreError; each `ensure_*` may be repeated."""

    def __init__(self, blocks: BlockStore, *, pool: str = POOL) -> None:
        self.blocks, self.pool = blocks, pool

    def ensure_root(self, server_id: str, source: SnapshotName, source_size: int, size: int, fence: int) -> None:
        """Bring about a root disk of `size` bytes, or of the `source_size` that its source has where that is more; a whole one is left as it is.

        Four calls where nothing went before: they are most of the time that a boot takes here. Raises StoreNotFound when `source` is gone.
        """
        name = disk_name(server_id)
        if self.blocks.info(self.pool, name) is not None:
            return
        partial = f"{name}.{fence}"
        try:
            self.blocks.clone(source, self.pool, partial)
        except StoreExists:
            ensure_gone(self.blocks, self.pool, partial)
            self.blocks.clone(source, self.pool, partial)
        if source_size < size:
            self.blocks.resize(self.pool, partial, size)
        make_whole(self.blocks, self.pool, partial, name)

    def size(self, server_id: str) -> int | None:
        """Size in bytes; None where there is no root disk."""
        info = self.blocks.info(self.pool, disk_name(server_id))
        return info.size if info else None

    def ensure_unfinished_gone(self, server_id: str, fence: int) -> None:
        """Remove what claims before `fence` left beside the root disk; a newer claim may be at work on its own."""
        partial = disk_name(server_id) + "."
        for name in self.names_of(server_id):
            number = name.removeprefix(partial)
            if number.isdigit() and int(number) < fence:
                ensure_gone(self.blocks, self.pool, name)

    def ensure_gone(self, server_id: str) -> None:
        """Remove a root disk and what dying workers left beside it. Raises StoreBusy while it is open somewhere."""
        for name in self.names_of(server_id):
            ensure_gone(self.blocks, self.pool, name)

    def names_of(self, server_id: str) -> list[str]:
        """The RBD images that belong to a server."""
        name = disk_name(server_id)
        return [n for n in self.blocks.names(self.pool) if n == name or n.startswith(name + ".")]
