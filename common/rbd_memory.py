"""The in-memory twin of `common.rbd.Ceph`, for tests: same contract, same refusals, no bytes kept for what nobody wrote."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from common.rbd import MIB, OURS, BlockInfo, SnapshotName, StoreBusy, StoreError, StoreExists, StoreNotFound, Writer

PAGE = 65536


class _Content:
    """The bytes of an image; pages that nobody wrote are zeros, and cost nothing. Pages are never changed, so a copy shares them."""

    def __init__(self, size: int, pages: dict[int, bytes] | None = None) -> None:
        self.size, self._pages = size, dict(pages or {})

    def copy(self) -> _Content:
        """The same bytes, apart from now on."""
        return _Content(self.size, self._pages)

    def resize(self, size: int) -> None:
        """What is cut off reads as zeros if it comes back."""
        self.size = size
        last, rest = divmod(size, PAGE)
        self._pages = {index: page for index, page in self._pages.items() if index < last or (index == last and rest)}
        if last in self._pages:
            self._pages[last] = self._pages[last][:rest].ljust(PAGE, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Put `data` at `offset`."""
        while data:
            index, start = divmod(offset, PAGE)
            part, data = data[: PAGE - start], data[PAGE - start :]
            page = self._pages.get(index, bytes(PAGE))
            self._pages[index] = page[:start] + part + page[start + len(part) :]
            offset += len(part)

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`."""
        first, last = offset // PAGE, (offset + length - 1) // PAGE
        found = b"".join(self._pages.get(index, bytes(PAGE)) for index in range(first, last + 1))
        return found[offset - first * PAGE : offset - first * PAGE + length]


@dataclass
class _Snapshot:
    content: _Content
    clones: int = 0
    trashed: bool = False


@dataclass
class _Image:
    content: _Content
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
        self._trash: dict[str, list[tuple[str, _Image]]] = {}
        self._lock = threading.RLock()
        self._ids = itertools.count(1)

    def create(self, pool: str, name: str, size: int) -> None:
        self.before("create")
        with self._lock:
            self._free(pool, name)
            self._images[pool, name] = _Image(_Content(size))

    def clone(self, source: SnapshotName, pool: str, name: str) -> None:
        self.before("clone")
        with self._lock:
            parent = self._get(source.pool, source.image)
            key = self._snap(parent, source.snapshot)
            self._free(pool, name)
            self._images[pool, name] = _Image(parent.snapshots[key][1].content.copy(), parent=(parent, key))
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
            return BlockInfo(image.content.size, own, len(own) < len(image.snapshots), image.opened > 0, image.note)

    def resize(self, pool: str, name: str, size: int) -> None:
        self.before("resize")
        with self._lock:
            self._get(pool, name).content.resize(size)

    def snapshot(self, pool: str, name: str, snapshot: str) -> None:
        self.before("snapshot")
        with self._lock:
            image = self._get(pool, name)
            if image.find(snapshot) is not None:
                raise StoreExists(f"{pool}/{name}@{snapshot}: exists")
            image.snapshots[next(self._ids)] = (snapshot, _Snapshot(image.content.copy()))

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
            image = self._get(pool, name)
            if image.opened:
                raise StoreBusy(f"{pool}/{name}: is open")
            self._trash.setdefault(pool, []).append((name, image))
            del self._images[pool, name]

    def purge(self, pool: str) -> int:
        self.before("purge")
        with self._lock:
            trash = self._trash.get(pool, [])
            while gone := [entry for entry in trash if OURS.fullmatch(entry[0]) and not entry[1].snapshots]:
                for entry in gone:
                    trash.remove(entry)
                    self._orphan(entry[1])
            return sum(OURS.fullmatch(name) is not None for name, _ in trash)

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
        if offset + length > content.size:
            raise StoreError(f"{pool}/{name}: ends at {content.size} bytes, {offset + length} were expected")
        for start in range(offset, offset + length, chunk):
            yield content.read(start, min(chunk, offset + length - start))

    def hold(self, pool: str, name: str, *, opened: bool) -> None:
        """Have an image open, as a process elsewhere would, or no more."""
        with self._lock:
            self._get(pool, name).opened += 1 if opened else -1

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


class _MemoryWriter:
    def __init__(self, image: _Image) -> None:
        self._image = image

    def write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self._image.content.size:
            raise StoreError(f"write of {len(data)} bytes at {offset} is past the end")
        self._image.content.write(offset, data)

    def resize(self, size: int) -> None:
        self._image.content.resize(size)

    def flush(self) -> None:
        return
