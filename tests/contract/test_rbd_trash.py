"""Deleting is a step of one moment; the trash is emptied aside, and only of what is ours. On the in-memory twin and on Ceph alike."""

from __future__ import annotations

import itertools
import uuid

import pytest

from common.rbd import MIB, BlockStore, Ceph, SnapshotName, StoreBusy
from common.rbd_steps import ensure_gone

POOL = "volumes"


@pytest.fixture
def name() -> str:
    return f"volume-{uuid.uuid4()}"


@pytest.mark.parametrize("form", ["volume-{}", "volume-{}.7", "{}", "{}.2", "{}.raw", "{}.raw.7", "{}_disk", "{}_disk.7"])
def test_what_is_ours_goes_by_the_trash(blocks: BlockStore, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = form.format(uuid.uuid4())

    def remove(pool: str, name: str) -> None:
        raise AssertionError("removes object by object")

    blocks.create(POOL, name, MIB)
    blocks.snapshot(POOL, name, "s")
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "remove", remove)
        ensure_gone(blocks, POOL, name)
    assert name not in blocks.names(POOL)
    assert blocks.purge(POOL) == 0
    if isinstance(blocks, Ceph):
        assert name not in trash(blocks)


def test_what_others_put_there_stays(blocks: BlockStore) -> None:
    name = f"backup-{uuid.uuid4()}"
    blocks.create(POOL, name, MIB)
    blocks.trash(POOL, name)
    assert blocks.purge(POOL) == 0
    if isinstance(blocks, Ceph):
        assert name in trash(blocks)
        empty(blocks, name)


def test_what_is_open_is_not_put_there(blocks: BlockStore, name: str) -> None:
    blocks.create(POOL, name, MIB)
    with blocks.writer(POOL, name), pytest.raises(StoreBusy):
        blocks.trash(POOL, name)
    assert name in blocks.names(POOL)
    ensure_gone(blocks, POOL, name)
    assert blocks.purge(POOL) == 0


def test_one_purge_takes_a_whole_line_of_clones(blocks: BlockStore) -> None:
    names = [f"volume-{uuid.uuid4()}" for _ in range(3)]
    blocks.create(POOL, names[0], MIB)
    for parent, child in itertools.pairwise(names):
        blocks.snapshot(POOL, parent, "s")
        blocks.clone(SnapshotName(POOL, parent, "s"), POOL, child)
    for name in names[:2]:
        ensure_gone(blocks, POOL, name)
    assert blocks.purge(POOL) == 2
    ensure_gone(blocks, POOL, names[2])
    assert blocks.purge(POOL) == 0


def test_what_was_put_off_is_left(ceph: Ceph, name: str) -> None:
    import rbd

    ceph.create(POOL, name, MIB)
    with ceph._pool(POOL) as io:
        rbd.RBD().trash_move(io, name, 3600)
    assert ceph.purge(POOL) == 1
    assert name in trash(ceph)
    empty(ceph, name)


def test_one_that_fails_does_not_keep_the_others(ceph: Ceph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import rbd

    names, purged = [f"volume-{uuid.uuid4()}" for _ in range(3)], rbd.RBD.trash_remove
    for name in names:
        ceph.create(POOL, name, MIB)
        ensure_gone(ceph, POOL, name)
    broken = next(entry for entry in trash(ceph).items() if entry[0] in names)

    class Broken(rbd.RBD):  # type: ignore[misc,unused-ignore]
        def trash_remove(self, io: object, image_id: str, force: bool) -> None:
            if image_id == broken[1]:
                raise rbd.OSError("input/output error", errno=5)
            purged(self, io, image_id, force)

    with monkeypatch.context() as patch:
        patch.setattr(rbd, "RBD", Broken)
        assert ceph.purge(POOL) == 1
    assert broken[0] in caplog.text
    assert set(trash(ceph)) & set(names) == {broken[0]}
    assert ceph.purge(POOL) == 0


def trash(ceph: Ceph) -> dict[str, str]:
    import rbd

    with ceph._pool(POOL) as io:
        return {str(entry["name"]): str(entry["id"]) for entry in rbd.RBD().trash_list(io)}


def empty(ceph: Ceph, name: str) -> None:
    import rbd

    with ceph._pool(POOL) as io:
        rbd.RBD().trash_remove(io, trash(ceph)[name], True)
