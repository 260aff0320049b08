"""The image store keeps its promises on the in-memory twin and on Ceph alike."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from common.clock import Deadline
from common.rbd import MIB, BlockStore, Ceph, SnapshotName, StoreError, StoreExists, StoreNotFound
from image.engine import qemu_img
from image.engine.convert import Converter
from image.engine.store import ImageStore, Progress
from image.names import SNAPSHOT, data_name, partial_twin_name, twin_name


@pytest.fixture
def image_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def store(blocks: BlockStore) -> ImageStore:
    return ImageStore(blocks)


def put(store: ImageStore, name: str, data: bytes, *, known: bool = True, piece: int = MIB) -> None:
    with store.upload(name, len(data) if known else None) as upload:
        for start in range(0, len(data), piece):
            upload.append(data[start : start + piece])


@pytest.mark.parametrize("known", [True, False])
def test_data_comes_back_as_it_was(store: ImageStore, image_id: str, known: bool) -> None:
    data = b"head" + bytes(3 * MIB) + b"middle" + bytes(range(256)) * 4100 + b"x"
    put(store, image_id, data, known=known)
    assert b"".join(store.read(image_id, 0, len(data))) == data
    assert b"".join(store.read(image_id, 3 * MIB, MIB)) == data[3 * MIB : 4 * MIB]
    assert store.size(image_id) == -(-len(data) // 512) * 512


def test_reading_past_the_end_fails(store: ImageStore, image_id: str) -> None:
    put(store, image_id, b"x" * 512)
    with pytest.raises(StoreError):
        list(store.read(image_id, 0, 1024))


def test_an_upload_that_breaks_off_has_no_snapshot_and_is_swept(store: ImageStore, image_id: str) -> None:
    with contextlib.suppress(ZeroDivisionError), store.upload(image_id, None) as upload:
        upload.append(b"half")
        raise ZeroDivisionError
    with pytest.raises(StoreNotFound):
        list(store.read(image_id, 0, 4))
    with pytest.raises(StoreExists), store.upload(image_id, None):
        pass
    put(store, data_name(image_id, 2), b"whole")
    store.ensure_only(image_id, data_name(image_id, 2))
    assert store.names_of(image_id) == [data_name(image_id, 2)]
    store.ensure_only(image_id)
    assert store.names_of(image_id) == []


def test_the_twin_appears_whole_or_not_at_all(store: ImageStore, image_id: str) -> None:
    name = store.prepare_twin(image_id, 3, 5 * MIB)
    assert name == partial_twin_name(image_id, 3)
    assert not store.has_twin(image_id)
    store.prepare_twin(image_id, 3, 5 * MIB)
    with store.writer(name) as writer:
        writer.write(MIB, b"raw")
        writer.flush()
        assert store.progress(image_id, 3) == Progress(running=True)
    assert store.progress(image_id, 3) == Progress()
    store.finish_twin(name)
    store.finish_twin(name)
    assert store.progress(image_id, 3) == Progress(whole=True)
    store.commit_twin(image_id, 3)
    store.commit_twin(image_id, 3)
    assert store.has_twin(image_id)
    assert store.names_of(image_id) == [twin_name(image_id)]
    assert b"".join(store.read(twin_name(image_id), MIB, 4)) == b"raw\0"


def test_the_first_twin_wins(store: ImageStore, image_id: str) -> None:
    for fence in (1, 2):
        store.finish_twin(store.prepare_twin(image_id, fence, MIB * fence))
    store.commit_twin(image_id, 2)
    store.commit_twin(image_id, 1)
    assert store.size(twin_name(image_id)) == 2 * MIB
    assert store.names_of(image_id) == [twin_name(image_id)]


def test_a_commit_without_a_conversion_is_refused(store: ImageStore, image_id: str) -> None:
    with pytest.raises(StoreNotFound):
        store.commit_twin(image_id, 1)


def test_clones_outlive_their_image(store: ImageStore, image_id: str) -> None:
    put(store, image_id, b"boot" * 1024)
    clone = f"volume-{uuid.uuid4()}"
    store.blocks.clone(SnapshotName(store.pool, image_id, SNAPSHOT), "volumes", clone)
    store.ensure_only(image_id)
    assert store.names_of(image_id) == []
    assert store.blocks.purge(store.pool) >= 1
    store.blocks.snapshot("volumes", clone, "s")
    assert b"".join(store.blocks.read("volumes", clone, 0, 4, snapshot="s")) == b"boot"
    store.blocks.remove_snapshot("volumes", clone, "s")
    store.blocks.remove("volumes", clone)
    assert store.blocks.purge(store.pool) == 0


def test_other_images_are_left_alone(store: ImageStore) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    put(store, first, b"1")
    put(store, second, b"2")
    store.ensure_only(first)
    assert store.names_of(second) == [second]
    store.ensure_only(second)


@pytest.fixture
def qcow2(tmp_path: Path) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        raw, out = tmp_path / "raw", tmp_path / "qcow2"
        raw.write_bytes(data)
        subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", raw, out], check=True)
        return out.read_bytes()

    return make


def settled(store: ImageStore, image_id: str, fence: int) -> Progress:
    deadline = Deadline(300)
    while not deadline.passed:
        progress = store.progress(image_id, fence)
        if progress.whole or progress.failure:
            return progress
        threading.Event().wait(0.05)
    raise AssertionError("the conversion did not end")


def test_qemu_img_converts_inside_the_cluster(ceph: Ceph, image_id: str, qcow2: Callable[[bytes], bytes]) -> None:
    store, raw = ImageStore(ceph), bytes(range(256)) * 4096 + bytes(4 * MIB) + b"end" + bytes(509)
    put(store, image_id, qcow2(raw))
    assert Converter(store).begin(image_id, store.prepare_twin(image_id, 1, len(raw)))
    assert settled(store, image_id, 1).whole
    store.commit_twin(image_id, 1)
    assert b"".join(store.read(twin_name(image_id), 0, len(raw))) == raw
    store.ensure_only(image_id)


def test_qemu_img_says_why_it_failed(ceph: Ceph, image_id: str) -> None:
    store = ImageStore(ceph)
    put(store, image_id, b"QFI\xfb" + bytes(600))
    assert Converter(store).begin(image_id, store.prepare_twin(image_id, 1, MIB))
    assert "qcow" in settled(store, image_id, 1).failure
    store.ensure_only(image_id)


def test_a_conversion_has_a_deadline(ceph: Ceph, image_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ImageStore(ceph)
    (tmp_path / "qemu-img").write_text("#!/bin/sh\nexec sleep 600\n")  # the real one might be done before anybody looks at the clock
    (tmp_path / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    put(store, image_id, b"QFI\xfb" + bytes(600))
    assert Converter(store, seconds=0.01).begin(image_id, store.prepare_twin(image_id, 1, MIB))
    assert "not done after 0.01 s" in settled(store, image_id, 1).failure
    store.ensure_only(image_id)


def test_a_converter_takes_no_more_than_it_is_allowed(ceph: Ceph, image_id: str) -> None:
    store = ImageStore(ceph)
    assert not Converter(store, at_once=0).begin(image_id, "anything")


def test_names_that_mean_something_to_qemu_are_refused() -> None:
    with pytest.raises(StoreError, match="cannot be given"):
        qemu_img.node("/etc/ceph/ceph.conf", "wolke", "images", "x:conf=/etc/passwd")
