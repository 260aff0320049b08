"""The in-memory twin of `common.rbd.Ceph`, for tests: same contract, same refusals, no bytes kept for what nobody wrote."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from common.rbd import MIB, BlockInfo, SnapshotName, StoreBusy, StoreError, StoreExists, StoreNotFound, Writer


@dataclass
class _Snapshot:
    content: bytes
    clones: int = 0
    trashed: bool = False


@dataclass
class _Image:
    content: bytearray
    snapshots: dict[int, tuple[str, _Snapshot]] = field(default_factory=dict)
    parent: tuple[_Image, int] | None = None
    opened: int = 0
    note: str = ""

    def find(self, name: str) -> int | None:
        return next((key for key, (n, s) in self.snapshots.items() if n == name and not s.trashed), None)


class Memory:
    """A `BlockStore` in this process's memory. `before` is called with each call's name: a test makes it raise or kill there."""

    def __init__(self, before: Callable[[str], None] = lambda call: None) -> None:
        self.before = before
        self._images: dict[tuple[str, str], _Image] = {}
        self._trash: dict[str, list[_Image]] = {}
        self._lock = threading.RLock()
        self._ids = itertools.count(1)

    def create(self, pool: str, name: str, size: int) -> None:
        self.before("create")
        with self._lock:
            self._free(pool, name)
            self._images[pool, name] = _Image(bytearray(size))

    def clone(self, source: SnapshotName, pool: str, name: str) -> None:
        self.before("clone")
        with self._lock:
            parent = self._get(source.pool, source.image)
            key = self._snap(parent, source.snapshot)
            self._free(pool, name)
            self._images[pool, name] = _Image(bytearray(parent.snapshots[key][1].content), parent=(parent, key))
            parent.snapshots[key][1].clones += 1

    def rename(self, pool: str, name: str, new_name: str) -> None:
        self.before("rename")
        with self._lock:
            image = self._get(pool, name)
            self._free(pool, new_name)
            del self._images[pool, name]
            self._images[pool, new_name] = image

    def info(self, pool: str, name: str) -> BlockInfo | None:
        self.before("info")
        with self._lock:
            image = self._images.get((pool, name))
            if image is None:
                return None
            own = frozenset(n for n, s in image.snapshots.values() if not s.trashed)
            return BlockInfo(len(image.content), own, len(own) < len(image.snapshots), image.opened > 0, image.note)

    def resize(self, pool: str, name: str, size: int) -> None:
        self.before("resize")
        with self._lock:
            _resize(self._get(pool, name), size)

    def snapshot(self, pool: str, name: str, snapshot: str) -> None:
        self.before("snapshot")
        with self._lock:
            image = self._get(pool, name)
            if image.find(snapshot) is not None:
                raise StoreExists(f"{pool}/{name}@{snapshot}: exists")
            image.snapshots[next(self._ids)] = (snapshot, _Snapshot(bytes(image.content)))

    def remove_snapshot(self, pool: str, name: str, snapshot: str) -> None:
        self.before("remove_snapshot")
        with self._lock:
            image = self._get(pool, name)
            key = self._snap(image, snapshot)
            if image.snapshots[key][1].clones:
                image.snapshots[key][1].trashed = True
            else:
                del image.snapshots[key]

    def note(self, pool: str, name: str, text: str) -> None:
        self.before("note")
        with self._lock:
            self._get(pool, name).note = text

    def remove(self, pool: str, name: str) -> None:
        self.before("remove")
        with self._lock:
            image = self._get(pool, name)
            if image.snapshots or image.opened:
                raise StoreBusy(f"{pool}/{name}: has snapshots, or is open")
            del self._images[pool, name]
            self._orphan(image)

    def trash(self, pool: str, name: str) -> None:
        self.before("trash")
        with self._lock:
            self._trash.setdefault(pool, []).append(self._get(pool, name))
            del self._images[pool, name]

    def purge(self, pool: str) -> int:
        self.before("purge")
        with self._lock:
            kept = [image for image in self._trash.get(pool, []) if image.snapshots]
            for image in self._trash.get(pool, []):
                if not image.snapshots:
                    self._orphan(image)
            self._trash[pool] = kept
            return len(kept)

    def names(self, pool: str) -> list[str]:
        self.before("names")
        with self._lock:
            return sorted(name for p, name in self._images if p == pool)

    @contextmanager
    def writer(self, pool: str, name: str) -> Iterator[Writer]:
        self.before("writer")
        image = self._get(pool, name)
        image.opened += 1
        try:
            yield _MemoryWriter(image)
        finally:
            image.opened -= 1

    def read(self, pool: str, name: str, offset: int, length: int, *, snapshot: str, chunk: int = 4 * MIB) -> Iterator[bytes]:
        self.before("read")
        image = self._get(pool, name)
        content = image.snapshots[self._snap(image, snapshot)][1].content
        if offset + length > len(content):
            raise StoreError(f"{pool}/{name}: ends at {len(content)} bytes, {offset + length} were expected")
        for start in range(offset, offset + length, chunk):
            yield content[start : min(start + chunk, offset + length)]

    def _orphan(self, image: _Image) -> None:
        if image.parent is None:
            return
        parent, key = image.parent
        snapshot = parent.snapshots[key][1]
        snapshot.clones -= 1
        if snapshot.trashed and not snapshot.clones:
            del parent.snapshots[key]

    def _free(self, pool: str, name: str) -> None:
        if (pool, name) in self._images:
            raise StoreExists(f"{pool}/{name}: exists")

    def _get(self, pool: str, name: str) -> _Image:
        if (pool, name) not in self._images:
            raise StoreNotFound(f"{pool}/{name}: not found")
        return self._images[pool, name]

    def _snap(self, image: _Image, snapshot: str) -> int:
        key = image.find(snapshot)
        if key is None:
            raise StoreNotFound(f"snapshot {snapshot}: not found")
        return key


def _resize(image: _Image, size: int) -> None:
    del image.content[size:]
    image.content.extend(bytes(size - len(image.content)))


class _MemoryWriter:
    def __init__(self, image: _Image) -> None:
        self._image = image

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > len(self._image.content):
            raise StoreError(f"write of {len(data)} bytes at {offset} is past the end")
        self._image.content[offset : offset + len(data)] = data

    def resize(self, size: int) -> None:
        _resize(self._image, size)

    def flush(self) -> None:
        return
