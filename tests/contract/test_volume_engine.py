"""The volume store keeps its promises on the in-memory twin and on Ceph alike."""

from __future__ import annotations

import uuid

import pytest

from common.rbd import MIB, BlockStore, SnapshotName, StoreBusy, StoreNotFound
from volume.engine.store import VolumeStore
from volume.names import volume_name


@pytest.fixture
def store(blocks: BlockStore) -> VolumeStore:
    return VolumeStore(blocks)


@pytest.fixture
def volume_id() -> str:
    return str(uuid.uuid4())


def write(store: VolumeStore, volume_id: str, data: bytes) -> None:
    with store.blocks.writer(store.pool, volume_name(volume_id)) as writer:
        writer.write(0, data)
        writer.flush()


def content(store: VolumeStore, volume_id: str, length: int) -> bytes:
    look = str(uuid.uuid4())
    store.blocks.snapshot(store.pool, volume_name(volume_id), look)
    data = b"".join(store.blocks.read(store.pool, volume_name(volume_id), 0, length, snapshot=look))
    store.blocks.remove_snapshot(store.pool, volume_name(volume_id), look)
    return data


def test_a_volume_is_made_once(store: VolumeStore, volume_id: str) -> None:
    store.ensure_volume(volume_id, 4 * MIB, 1)
    write(store, volume_id, b"mine")
    store.ensure_volume(volume_id, 4 * MIB, 2)
    assert store.size(volume_id) == 4 * MIB
    assert content(store, volume_id, 4) == b"mine"
    assert store.names_of(volume_id) == [volume_name(volume_id)]


def test_what_a_dead_worker_half_made_is_not_adopted(store: VolumeStore, volume_id: str) -> None:
    store.blocks.create(store.pool, f"{volume_name(volume_id)}.1", 99 * 512)
    assert store.size(volume_id) is None
    store.ensure_volume(volume_id, MIB, 1)
    assert store.size(volume_id) == MIB
    store.blocks.create(store.pool, f"{volume_name(volume_id)}.2", 99 * 512)
    store.ensure_unfinished_gone(volume_id)
    assert store.names_of(volume_id) == [volume_name(volume_id)]


def test_it_grows_and_never_shrinks(store: VolumeStore, volume_id: str) -> None:
    store.ensure_volume(volume_id, 2 * MIB, 1)
    store.ensure_size(volume_id, 3 * MIB)
    store.ensure_size(volume_id, MIB)
    assert store.size(volume_id) == 3 * MIB
    with pytest.raises(StoreNotFound):
        store.ensure_size(str(uuid.uuid4()), MIB)


def test_a_volume_from_a_snapshot_outlives_both(store: VolumeStore, volume_id: str) -> None:
    snapshot_id, child = str(uuid.uuid4()), str(uuid.uuid4())
    store.ensure_volume(volume_id, MIB, 1)
    write(store, volume_id, b"before")
    store.ensure_snapshot(volume_id, snapshot_id)
    store.ensure_snapshot(volume_id, snapshot_id)
    write(store, volume_id, b"after!")
    store.ensure_volume(child, 2 * MIB, 1, source=store.source(volume_id, snapshot_id))
    assert store.size(child) == 2 * MIB
    store.ensure_snapshot_gone(volume_id, snapshot_id)
    store.ensure_snapshot_gone(volume_id, snapshot_id)
    store.ensure_gone(volume_id)
    store.ensure_gone(volume_id)
    assert store.names_of(volume_id) == []
    assert content(store, child, 6) == b"before"
    assert store.blocks.purge(store.pool) == 1
    store.ensure_gone(child)
    assert store.blocks.purge(store.pool) == 0


def test_a_missing_source_is_told(store: VolumeStore, volume_id: str) -> None:
    with pytest.raises(StoreNotFound):
        store.ensure_volume(volume_id, MIB, 1, source=SnapshotName("images", str(uuid.uuid4()), "snap"))
    with pytest.raises(StoreNotFound):
        store.ensure_snapshot(volume_id, str(uuid.uuid4()))
    store.ensure_gone(volume_id)
    assert store.names_of(volume_id) == []


def test_an_open_volume_is_not_removed(store: VolumeStore, volume_id: str) -> None:
    store.ensure_volume(volume_id, MIB, 1)
    with store.blocks.writer(store.pool, volume_name(volume_id)) as writer:
        writer.write(0, b"busy")
        with pytest.raises(StoreBusy):
            store.ensure_gone(volume_id)
    store.ensure_gone(volume_id)
    assert store.size(volume_id) is None


def test_deletion_takes_the_leftovers_and_forgotten_snapshots(store: VolumeStore, volume_id: str) -> None:
    store.ensure_volume(volume_id, MIB, 1)
    store.ensure_snapshot(volume_id, str(uuid.uuid4()))
    store.blocks.create(store.pool, f"{volume_name(volume_id)}.7", MIB)
    other = str(uuid.uuid4())
    store.ensure_volume(other, MIB, 1)
    store.ensure_gone(volume_id)
    assert store.names_of(volume_id) == []
    assert store.names_of(other) == [volume_name(other)]
    store.ensure_gone(other)
