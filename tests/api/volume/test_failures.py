"""What a tenant can still do with volumes and snapshots when the store refuses, or when two wishes cross."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.db import Database
from common.rbd import BlockStore, StoreFull
from common.rbd_memory import Memory
from tests.support.api import PROJECT, Client, actor
from tests.support.volume import SERVER, action, make, shown
from tests.support.work import run_jobs
from volume import public
from volume.flows import snapshot_delete


def full(pool: str, name: str, size: int) -> None:
    raise StoreFull(f"{pool}/{name}: the pool is full")


def test_a_volume_whose_extend_failed_can_be_extended_again(
    api: Client, blocks: Memory, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id = make(api)["id"]
    work()
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "resize", full)
        action(api, volume_id, "os-extend", new_size=3)
        work()
    found = shown(api, volume_id)
    assert (found["status"], found["size"]) == ("error_extending", 1)
    assert [v["id"] for v in api.get("/v3/volumes?status=error_extending")["volumes"]] == [volume_id]
    assert api.get(f"/v3/os-quota-sets/{PROJECT}?usage=true")["quota_set"]["gigabytes"]["in_use"] == 1
    action(api, volume_id, "os-extend", ok=400, new_size=1)
    assert api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=202)["snapshot"]["size"] == 1
    action(api, volume_id, "os-extend", new_size=2)
    assert shown(api, volume_id)["status"] == "extending"
    assert work() == 0
    assert (shown(api, volume_id)["status"], shown(api, volume_id)["size"]) == ("available", 2)


def test_a_volume_whose_extend_failed_can_be_attached(
    api: Client, db: Database, blocks: Memory, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id = make(api)["id"]
    work()
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "resize", full)
        action(api, volume_id, "os-extend", new_size=3)
        work()
    view = db.run(lambda tx: public.attach(tx, actor(), volume_id, SERVER, device="vdb", mountpoint="/dev/vdb"))
    assert (view.ready, view.failure, view.size_gib) == (True, None, 1)
    db.run(lambda tx: public.attached(tx, view.id, view.generation))
    assert shown(api, volume_id)["status"] == "in-use"
    db.run(lambda tx: public.detached(tx, view.id))
    assert shown(api, volume_id)["status"] == "available"


def test_a_volume_that_was_never_made_is_no_less_broken_for_its_label(
    api: Client, db: Database, blocks: Memory, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id = make(api)["id"]
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "create", full)
        work()
    assert shown(api, volume_id)["status"] == "error"
    action(api.as_("admin"), volume_id, "os-reset_status", status="available")
    view = db.run(lambda tx: public.attach(tx, actor(), volume_id, SERVER, device="vdb", mountpoint="/dev/vdb"))
    assert (view.ready, view.failure) == (False, "There is not enough room for the volume.")


def test_a_snapshot_stays_while_a_volume_is_made_from_it(api: Client, db: Database, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    work()
    snapshot_id = api.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}, ok=202)["snapshot"]["id"]
    work()
    copy_id = make(api, snapshot_id=snapshot_id)["id"]
    api.delete(f"/v3/snapshots/{snapshot_id}", ok=202)
    assert run_jobs(db, [snapshot_delete.FLOW], (BlockStore, blocks), most=5) == 2, "the copy's, and the delete that waits for it"
    assert work() == 0
    assert shown(api, copy_id)["status"] == "available"
    api.get(f"/v3/snapshots/{snapshot_id}", ok=404)
