"""Ceph RBD, as thin as two services can share it: `image/engine` and `volume/engine` come in here, nobody else.

Clones are of format 2: a snapshot that has clones can be removed; Ceph keeps it in its trash namespace until the last clone goes.
Source: Ceph's librbd Python manual, https://docs.ceph.com/en/pacific/rbd/api/librbdpy/.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import rados  # type: ignore[import-not-found,unused-ignore]
import rbd  # type: ignore[import-not-found,unused-ignore]

from common.clock import Deadline
from common.config import CONF

LOG = logging.getLogger(__name__)
MIB = 1 << 20
PARALLEL_WRITES = 4
# Threads wait for the first one's connection; together they must be done before a job's watchdog is.
CONNECT_SECONDS, REFUSED_SECONDS = 10, 5.0
NOTE = "wolke.note"
# What the services call their images; what others put into the trash is theirs.
OURS = re.compile(r"(volume-)?[0-9a-f-]{36}(_disk)?(\.raw)?(\.\d+)?")
USER_NAMESPACE = rbd.RBD_SNAP_NAMESPACE_TYPE_USER
_CLIENT = {
    # Bytes are acknowledged when the cluster has them, and an open image costs no cache of 32 MiB.
    "rbd_cache": "false", "rbd_default_clone_format": "2",
    "log_to_stderr": "false", "err_to_stderr": "false", "log_file": "",
}  # fmt: skip


class StoreError(Exception):
    """The block store refused or failed; the sentence names the image."""


class StoreExists(StoreError):
    """The name is taken."""


class StoreNotFound(StoreError):
    """The image or snapshot is not there."""


class StoreBusy(StoreError):
    """The image is open somewhere, or has snapshots or clones: try again later."""


class StoreFull(StoreError):
    """The pool or its quota is full."""


class StoreUnavailable(StoreError):
    """The cluster does not answer."""


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """`pool/image@snapshot`."""

    pool: str
    image: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """An image as the store has it: size in bytes, the names of its snapshots, whether clones of removed snapshots hold it.

    `opened` tells whether a client has it open for writing (a dead one counts for up to 30 s); `note` is what `note` last said.
    """

    size: int
    snapshots: frozenset[str]
    cloned: bool
    opened: bool
    note: str


class Writer(Protocol):
    """An open image; writes may be buffered until `flush`."""

    def write(self, offset: int, data: bytes) -> None:
        """Write `data` at `offset` bytes; the image must be large enough."""

    def resize(self, size: int) -> None:
        """Set the image's size in bytes."""

    def flush(self) -> None:
        """Wait until everything written is stored.

        Raises StoreError when one write failed.
        """


class BlockStore(Protocol):
    """What the engines need of a block store. Every call may raise StoreUnavailable and StoreError."""

    def create(self, pool: str, name: str, size: int) -> None:
        """Make an empty image of `size` bytes. Raises StoreExists."""

    def clone(self, source: SnapshotName, pool: str, name: str) -> None:
        """Make a copy-on-write clone. Raises StoreExists, StoreNotFound. A process that dies here may leave an empty image."""

    def rename(self, pool: str, name: str, new_name: str) -> None:
        """Rename in one step, never over another. Raises StoreExists, StoreNotFound."""

    def info(self, pool: str, name: str) -> BlockInfo | None:
        """What the image is, None where it is not."""

    def resize(self, pool: str, name: str, size: int) -> None:
        """Set the size in bytes. Raises StoreNotFound."""

    def snapshot(self, pool: str, name: str, snapshot: str) -> None:
        """Take a snapshot. Raises StoreExists, StoreNotFound."""

    def remove_snapshot(self, pool: str, name: str, snapshot: str) -> None:
        """Remove a snapshot; its clones live on. Raises StoreNotFound."""

    def note(self, pool: str, name: str, text: str) -> None:
        """Keep a few words with the image. Raises StoreNotFound."""

    def remove(self, pool: str, name: str) -> None:
        """Remove an image without snapshots. Raises StoreBusy, StoreNotFound."""

    def trash(self, pool: str, name: str) -> None:
        """Take an image's name away, at once whatever its size; its clones live on. Raises StoreBusy while it is open, StoreNotFound."""

    def purge(self, pool: str) -> int:
        """Remove from the trash what has no clones any more; how many of `OURS` are left in it. Takes minutes where images are large."""

    def names(self, pool: str) -> list[str]:
        """The names of all images of a pool, trash excluded, sorted."""

    def writer(self, pool: str, name: str) -> AbstractContextManager[Writer]:
        """Open an image for writing. Raises StoreNotFound."""

    def read(self, pool: str, name: str, offset: int, length: int, *, snapshot: str, chunk: int = 4 * MIB) -> Iterator[bytes]:
        """`length` bytes of a snapshot from `offset` in pieces. Raises StoreNotFound at the first piece."""


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (rbd.ImageNotFound, rados.ObjectNotFound) as error:
        raise StoreNotFound(f"{what}: not found") from error
    except rbd.ImageExists as error:
        raise StoreExists(f"{what}: exists") from error
    except (rbd.ImageBusy, rbd.ImageHasSnapshots) as error:
        raise StoreBusy(f"{what}: {error}") from error
    except (rbd.DiskQuotaExceeded, rados.NoSpace) as error:
        raise StoreFull(f"{what}: the pool is full") from error
    except (rbd.Timeout, rados.TimedOut, rbd.ConnectionShutdown, rados.InterruptedOrTimeoutError) as error:
        raise StoreUnavailable(f"{what}: the cluster does not answer") from error
    except (rbd.Error, rados.Error) as error:
        raise _by_number(what, error) from error


def _by_number(what: str, error: Exception) -> StoreError:
    number = getattr(error, "errno", None)
    kinds: dict[int | None, type[StoreError]] = {28: StoreFull, 122: StoreFull, 108: StoreUnavailable, 110: StoreUnavailable}
    return kinds.get(number, StoreError)(f"{what}: {error}")


def _purged(io: Any, image_id: str, name: str) -> bool:
    try:
        with _translated(f"trash: {name}"):
            rbd.RBD().trash_remove(io, image_id, False)
    except StoreNotFound:
        return True
    except StoreUnavailable:
        raise
    except StoreError as error:
        # Held by clones, at work elsewhere, or put off by who put it there: all that is as it should be.
        if not isinstance(error, StoreBusy) and not isinstance(error.__cause__, rbd.PermissionError):
            LOG.warning("%s", error)
        return False
    return True


class Ceph:
    """A `BlockStore` on a Ceph cluster; one connection per process, made at first use, shared by its threads."""

    def __init__(self, conf: str, user: str, *, timeout: int = 20) -> None:
        """`conf` is the path of a ceph.conf, `user` a cephx name without `client.`, `timeout` seconds for one operation."""
        self._conf, self._user, self._timeout = conf, user, timeout
        self._connections: dict[int, Any] = {}
        self._pools: dict[tuple[int, str], Any] = {}
        self._lock = threading.Lock()
        # What a process was refused when it tried to connect, and until when it does not try again.
        self._refused: dict[int, tuple[Deadline, str]] = {}

    def close(self) -> None:
        """End this process's connection."""
        with self._lock:
            pid = os.getpid()
            self._pools = {key: io for key, io in self._pools.items() if key[0] != pid}
            connection = self._connections.pop(pid, None)
        if connection is not None:
            connection.shutdown()

    @property
    def identity(self) -> tuple[str, str]:
        """(path of ceph.conf, user) for a child process that opens the cluster itself."""
        return self._conf, self._user

    def create(self, pool: str, name: str, size: int) -> None:
        with self._pool(pool) as io, _translated(f"{pool}/{name}"):
            rbd.RBD().create(io, name, size)

    def clone(self, source: SnapshotName, pool: str, name: str) -> None:
        with self._pool(source.pool) as parent, self._pool(pool) as io, _translated(f"{pool}/{name}"):
            rbd.RBD().clone(parent, source.image, source.snapshot, io, name)

    def rename(self, pool: str, name: str, new_name: str) -> None:
        with self._pool(pool) as io, _translated(f"{pool}/{new_name}"):
            rbd.RBD().rename(io, name, new_name)

    def info(self, pool: str, name: str) -> BlockInfo | None:
        try:
            with self._image(pool, name, read_only=True) as image:
                snapshots = list(image.list_snaps())
                own = frozenset(str(s["name"]) for s in snapshots if s["namespace"] == USER_NAMESPACE)
                opened, note = bool(list(image.watchers_list())), dict(image.metadata_list()).get(NOTE, "")
                return BlockInfo(int(image.size()), own, len(own) < len(snapshots), opened, note)
        except StoreNotFound:
            return None

    def resize(self, pool: str, name: str, size: int) -> None:
        with self._image(pool, name) as image:
            image.resize(size)

    def snapshot(self, pool: str, name: str, snapshot: str) -> None:
        with self._image(pool, name) as image:
            image.create_snap(snapshot)

    def remove_snapshot(self, pool: str, name: str, snapshot: str) -> None:
        with self._image(pool, name) as image:
            image.remove_snap(snapshot)

    def note(self, pool: str, name: str, text: str) -> None:
        with self._image(pool, name) as image:
            image.metadata_set(NOTE, text)

    def remove(self, pool: str, name: str) -> None:
        with self._pool(pool) as io, _translated(f"{pool}/{name}"):
            rbd.RBD().remove(io, name)

    def trash(self, pool: str, name: str) -> None:
        # Ceph itself would take the name off an open image. Who opens it just now keeps its data: `purge` refuses what is open.
        with self._image(pool, name, read_only=True) as image:
            if list(image.watchers_list()):
                raise StoreBusy(f"{pool}/{name}: is open")
        with self._pool(pool) as io, _translated(f"{pool}/{name}"):
            rbd.RBD().trash_move(io, name, 0)

    def purge(self, pool: str) -> int:
        with self._pool(pool) as io:
            with _translated(f"trash of {pool}"):
                found = [(str(entry["id"]), str(entry["name"])) for entry in rbd.RBD().trash_list(io)]
            left, before = [entry for entry in found if OURS.fullmatch(entry[1])], -1
            # What goes may have been what held another.
            while len(left) != before:
                before, left = len(left), [entry for entry in left if not _purged(io, *entry)]
        return len(left)

    def names(self, pool: str) -> list[str]:
        with self._pool(pool) as io, _translated(pool):
            return sorted(str(name) for name in rbd.RBD().list(io))

    @contextmanager
    def writer(self, pool: str, name: str) -> Iterator[Writer]:
        with self._image(pool, name) as image:
            writer = _CephWriter(image, f"{pool}/{name}")
            try:
                yield writer
            finally:
                writer.settle()

    def read(self, pool: str, name: str, offset: int, length: int, *, snapshot: str, chunk: int = 4 * MIB) -> Iterator[bytes]:
        with self._image(pool, name, snapshot=snapshot, read_only=True) as image:
            end = offset + length
            while offset < end:
                piece = image.read(offset, min(chunk, end - offset))
                if not piece:
                    raise StoreError(f"{pool}/{name}: ends at {offset} bytes, {end} were expected")
                offset += len(piece)
                yield piece

    @contextmanager
    def _image(self, pool: str, name: str, *, snapshot: str | None = None, read_only: bool = False) -> Iterator[Any]:
        opened = f"{pool}/{name}"
        with self._pool(pool) as io, _translated(opened), rbd.Image(io, name, snapshot=snapshot, read_only=read_only) as image:
            yield image

    @contextmanager
    def _pool(self, pool: str) -> Iterator[Any]:
        key = (os.getpid(), pool)
        with self._lock:
            if key not in self._pools:
                with _translated(f"pool {pool}"):
                    self._pools[key] = self._connected().open_ioctx(pool)
            io = self._pools[key]
        yield io

    def _connected(self) -> Any:
        # A connection does not survive a fork; the parent's is kept, so that its destructor does not run here.
        pid = os.getpid()
        if pid not in self._connections:
            refused = self._refused.get(pid)
            if refused and not refused[0].passed:
                raise StoreUnavailable(refused[1])
            try:
                self._connections[pid] = self._connect()
            except rados.Error as error:
                # Also a cluster that does not know the user: nothing is known of any image, so nothing is "not found".
                self._refused[pid] = Deadline(REFUSED_SECONDS), f"the cluster does not answer: {error}"
                raise StoreUnavailable(self._refused[pid][1]) from error
        return self._connections[pid]

    def _connect(self) -> Any:
        timeout, soon = str(self._timeout), str(min(self._timeout, CONNECT_SECONDS))
        conf = {**_CLIENT, "rados_mon_op_timeout": timeout, "rados_osd_op_timeout": timeout, "client_mount_timeout": soon}
        connection = rados.Rados(conffile=self._conf, rados_id=self._user, conf=conf)
        connection.connect()
        return connection


class _CephWriter:
    """Keeps up to PARALLEL_WRITES writes in flight; zeros are not written, for a new image has them."""

    def __init__(self, image: Any, what: str) -> None:
        self._image, self._what = image, what
        self._slots = threading.Semaphore(PARALLEL_WRITES)
        self._failed: list[int] = []

    def write(self, offset: int, data: bytes) -> None:
        if self._failed:
            self.flush()
        if data.count(0) == len(data):
            return
        self._slots.acquire()
        try:
            with _translated(self._what):
                self._image.aio_write(data, offset, self._done)
        except BaseException:
            self._slots.release()
            raise

    def _done(self, completion: Any) -> None:
        result = completion.get_return_value()
        if result < 0:
            self._failed.append(-result)
        self._slots.release()

    def resize(self, size: int) -> None:
        with _translated(self._what):
            self._image.resize(size)

    def settle(self) -> None:
        """Wait for the writes in flight, whatever came of them."""
        for _ in range(PARALLEL_WRITES):
            self._slots.acquire()
        self._slots.release(PARALLEL_WRITES)

    def flush(self) -> None:
        self.settle()
        if self._failed:
            number = self._failed[0]
            raise _by_number(self._what, OSError(number, os.strerror(number)))
        with _translated(self._what):
            self._image.flush()


@functools.cache
def cluster() -> Ceph:
    """The configured cluster; one connection for all services of this process."""
    return Ceph(CONF.ceph.conf, CONF.ceph.user, timeout=CONF.ceph.timeout)
