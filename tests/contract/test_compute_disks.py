"""Root disks keep their promises on the in-memory twin and on Ceph alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from common.rbd import MIB, BlockStore, SnapshotName, StoreNotFound
from common.rbd_steps import ensure_gone
from compute.engine.disks import DiskStore
from compute.names import disk_name


@pytest.fixture
def store(blocks: BlockStore) -> DiskStore:
    return DiskStore(blocks)


@pytest.fixture
def image(blocks: BlockStore) -> Iterator[SnapshotName]:
    name = str(uuid.uuid4())
    blocks.create("images", name, 2 * MIB)
    blocks.snapshot("images", name, "snap")
    yield SnapshotName("images", name, "snap")
    ensure_gone(blocks, "images", name)


@pytest.fixture
def server_id(store: DiskStore, image: SnapshotName) -> Iterator[str]:
    made = str(uuid.uuid4())
    yield made
    store.ensure_gone(made)


def test_a_root_disk_is_a_clone_of_its_size_made_once(store: DiskStore, image: SnapshotName, server_id: str) -> None:
    for fence in (1, 2):
        store.ensure_root(server_id, image, 2 * MIB, 4 * MIB, fence)
        assert store.size(server_id) == 4 * MIB
        assert store.names_of(server_id) == [disk_name(server_id)]


def test_an_image_larger_than_the_disk_is_not_cut(store: DiskStore, image: SnapshotName, server_id: str) -> None:
    store.ensure_root(server_id, image, 2 * MIB, MIB, 1)
    assert store.size(server_id) == 2 * MIB


def test_half_a_disk_is_not_adopted_and_goes_with_the_rest(store: DiskStore, image: SnapshotName, server_id: str) -> None:
    store.blocks.create(store.pool, f"{disk_name(server_id)}.1", MIB)
    assert store.size(server_id) is None
    store.ensure_root(server_id, image, 2 * MIB, 4 * MIB, 1)
    for fence in (2, 7):
        store.blocks.create(store.pool, f"{disk_name(server_id)}.{fence}", MIB)
    store.ensure_unfinished_gone(server_id, 7)
    assert store.names_of(server_id) == [disk_name(server_id), f"{disk_name(server_id)}.7"]
    for _ in range(2):
        store.ensure_gone(server_id)
        assert store.names_of(server_id) == []


def test_a_missing_image_is_named(store: DiskStore, server_id: str) -> None:
    with pytest.raises(StoreNotFound):
        store.ensure_root(server_id, SnapshotName("images", str(uuid.uuid4()), "snap"), MIB, MIB, 1)
