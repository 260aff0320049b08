"""How an image lies in the pool `images`: data under a name of its own for each upload, the raw twin as `<id>.raw`, both with snapshot `snap`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from common.rbd import MIB, BlockStore, StoreNotFound, Writer
from common.rbd_steps import ensure_gone, ensure_snapshot, make_whole
from image.names import POOL, SNAPSHOT, partial_twin_name, sectors, twin_name

# An image that grows is resized in steps, each of which tells the watchers.
GROWTH = 1024 * MIB


class Upload:
    """Bytes on their way into an RBD image, appended in order."""

    def __init__(self, writer: Writer, room: int) -> None:
        self._writer, self._room, self.size = writer, room, 0

    def append(self, data: bytes) -> None:
        """Append `data`. Raises common.rbd.StoreError."""
        end = self.size + len(data)
        if end > self._room:
            self._room = end + GROWTH
            self._writer.resize(sectors(self._room))
        self._writer.write(self.size, data)
        self.size = end

    def finish(self) -> None:
        """Wait until all is stored and cut the image to its size, rounded up to a sector."""
        self._writer.flush()
        self._writer.resize(sectors(self.size))


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a conversion: whole; or running; or failed, with why; or none of them, when its process died."""

    whole: bool = False
    running: bool = False
    failure: str = ""


class ImageStore:
    """Images in a block store. Every call may raise common.rbd.StoreError; each `ensure_*` may be repeated."""

    def __init__(self, blocks: BlockStore, *, pool: str = POOL) -> None:
        self.blocks, self.pool = blocks, pool

    @contextlib.contextmanager
    def upload(self, name: str, expected: int | None) -> Iterator[Upload]:
        """Write the data `name`, of `expected` bytes if that is known; whole, with its snapshot, when the block ends well."""
        self.blocks.create(self.pool, name, sectors(expected or 0))
        with self.blocks.writer(self.pool, name) as writer:
            upload = Upload(writer, expected or 0)
            yield upload
            upload.finish()
        ensure_snapshot(self.blocks, self.pool, name, SNAPSHOT)

    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes of the data `name` from `offset`, in pieces of some MiB."""
        return self.blocks.read(self.pool, name, offset, length, snapshot=SNAPSHOT)

    def size(self, name: str) -> int | None:
        """Size in bytes of an RBD image of the pool; None where there is none."""
        info = self.blocks.info(self.pool, name)
        return info.size if info else None

    def prepare_twin(self, image_id: str, fence: int, size: int) -> str:
        """Make the empty target of a conversion to `size` bytes, in the place of an unfinished one; its name."""
        name = partial_twin_name(image_id, fence)
        ensure_gone(self.blocks, self.pool, name)
        self.blocks.create(self.pool, name, sectors(size))
        return name

    def finish_twin(self, target: str) -> None:
        """Mark a conversion's target as whole."""
        ensure_snapshot(self.blocks, self.pool, target, SNAPSHOT)

    def progress(self, image_id: str, fence: int) -> Progress:
        """How far the conversion of claim `fence` is."""
        if self.has_twin(image_id):
            return Progress(whole=True)
        info = self.blocks.info(self.pool, partial_twin_name(image_id, fence))
        if info is None:
            return Progress()
        return Progress(whole=SNAPSHOT in info.snapshots, running=info.opened, failure=info.note)

    def commit_twin(self, image_id: str, fence: int) -> None:
        """Give the whole conversion of claim `fence` the twin's name; one that is there already wins.

        Raises StoreNotFound when there is neither.
        """
        try:
            make_whole(self.blocks, self.pool, partial_twin_name(image_id, fence), twin_name(image_id))
        except StoreNotFound:
            if not self.has_twin(image_id):
                raise

    def has_twin(self, image_id: str) -> bool:
        """Whether the raw twin is whole."""
        info = self.blocks.info(self.pool, twin_name(image_id))
        return info is not None and SNAPSHOT in info.snapshots

    def writer(self, name: str) -> AbstractContextManager[Writer]:
        """Open an RBD image of the pool for writing."""
        return self.blocks.writer(self.pool, name)

    def ensure_only(self, image_id: str, *keep: str) -> None:
        """Remove whatever of an image is not in `keep`; clones of it live on. Raises StoreBusy while a writer has it open."""
        self.ensure_gone(*(name for name in self.names_of(image_id) if name not in keep))

    def ensure_gone(self, *names: str) -> None:
        """Remove RBD images of the pool; clones of them live on. Raises StoreBusy while a writer has one open."""
        for name in names:
            ensure_gone(self.blocks, self.pool, name)

    def names_of(self, image_id: str) -> list[str]:
        """The RBD images that belong to an image."""
        return [name for name in self.blocks.names(self.pool) if name == image_id or name.startswith(image_id + ".")]
