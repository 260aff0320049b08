"""What a tenant can still do with volumes and snapshots when the store refuses, or when two wishes cross."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from common.db import Database, clock
from common.errors import BadRequest
from common.models import Job
from common.rbd import BlockStore, StoreError, StoreFull, StoreUnavailable
from common.rbd_memory import Memory
from tests.support.api import PROJECT, Client, actor
from tests.support.volume import SERVER, action, make, shown
from tests.support.work import run_jobs
from volume import public
from volume.engine.store import VolumeStore
from volume.flows import sizes, snapshot_delete
from volume.models import Volume
from volume.names import GIB


def full(pool: str, name: str, size: int) -> None:
    raise StoreFull(f"{pool}/{name}: the pool is full")


@pytest.fixture
def volume_id(api: Client, blocks: Memory, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> str:
    """A volume of 1 GiB that should have grown to 3, but the pool was full."""
    volume_id = str(make(api)["id"])
    work()
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "resize", full)
        action(api, volume_id, "os-extend", new_size=3)
        work()
    return volume_id


def test_a_volume_whose_extend_failed_can_be_extended_again(api: Client, work: Callable[[], int], volume_id: str) -> None:
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


def test_a_volume_whose_extend_failed_can_be_attached(api: Client, db: Database, volume_id: str) -> None:
    view = db.run(lambda tx: public.attach(tx, actor(), volume_id, SERVER, device="vdb", mountpoint="/dev/vdb"))
    assert (view.ready, view.failure, view.size_gib) == (True, None, 1)
    db.run(lambda tx: public.attached(tx, view.id, view.generation))
    assert shown(api, volume_id)["status"] == "in-use"
    db.run(lambda tx: public.detached(tx, view.id))
    assert shown(api, volume_id)["status"] == "available"


def silent(*_: object) -> None:
    raise StoreUnavailable("the cluster does not answer")


@pytest.fixture
def give_up(db: Database, blocks: Memory, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The deadline of every job passes while the store is silent."""

    def pass_deadlines() -> None:
        db.run(lambda tx: tx.execute(update(Job).values(deadline_at=clock() - timedelta(seconds=1))))
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "info", silent)
            assert work() == 0

    return pass_deadlines


def test_a_volume_that_grew_unseen_is_shown_as_it_is_once_the_store_answers(
    api: Client, db: Database, blocks: Memory, work: Callable[[], int], give_up: Callable[[], None]
) -> None:
    volume_id, other_id = make(api)["id"], make(api)["id"]
    work()
    for grown in (volume_id, other_id):
        action(api, grown, "os-extend", new_size=3)
    store = VolumeStore(blocks)
    store.ensure_size(volume_id, 3 * GIB)  # by a worker that died
    give_up()
    assert [(shown(api, grown)["status"], shown(api, grown)["size"]) for grown in (volume_id, other_id)] == [("error_extending", 1)] * 2
    sizes.recheck(db, store)
    assert [(shown(api, grown)["status"], shown(api, grown)["size"]) for grown in (volume_id, other_id)] == [
        ("error_extending", 3), ("error_extending", 1),
    ]  # fmt: skip
    assert api.get(f"/v3/os-quota-sets/{PROJECT}?usage=true")["quota_set"]["gigabytes"]["in_use"] == 4


def test_a_wish_that_comes_while_sizes_are_asked_for_stays(
    api: Client, db: Database, blocks: Memory, work: Callable[[], int], give_up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id = make(api)["id"]
    work()
    action(api, volume_id, "os-extend", new_size=3)
    give_up()
    store = VolumeStore(blocks)

    def wished_meanwhile(_id: str) -> int:
        action(api, volume_id, "os-extend", new_size=2)
        return GIB

    with monkeypatch.context() as patch:
        patch.setattr(store, "size", wished_meanwhile)
        sizes.recheck(db, store)
    assert work() == 0
    assert (shown(api, volume_id)["status"], shown(api, volume_id)["size"]) == ("available", 2)


def test_one_size_that_cannot_be_had_does_not_hold_up_the_others(
    api: Client, db: Database, blocks: Memory, work: Callable[[], int], give_up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sorted(make(api)["id"] for _ in range(2))
    work()
    for volume_id in made:
        action(api, volume_id, "os-extend", new_size=3)
    give_up()
    store, asked = VolumeStore(blocks), []

    def broken(volume_id: str) -> int:
        asked.append(volume_id)
        raise (StoreUnavailable if len(asked) > 2 else StoreError)(f"{volume_id}: broken")

    monkeypatch.setattr(store, "size", broken)
    sizes.recheck(db, store)
    assert asked == made
    with pytest.raises(StoreUnavailable):
        sizes.recheck(db, store)
    assert len(asked) == 3, "a silent store is asked once"


def test_a_volume_whose_data_is_gone_is_not_attached(api: Client, db: Database, blocks: Memory, work: Callable[[], int]) -> None:
    volume_id = make(api)["id"]
    work()
    VolumeStore(blocks).ensure_gone(volume_id)
    action(api, volume_id, "os-extend", new_size=3)
    assert work() == 0
    assert (shown(api, volume_id)["status"], shown(api, volume_id)["size"]) == ("error", 1)
    with pytest.raises(BadRequest, match="currently error"):
        db.run(lambda tx: public.attach(tx, actor(), volume_id, SERVER, device="vdb", mountpoint="/dev/vdb"))
    action(api, volume_id, "os-extend", ok=400, new_size=4)
    api.delete(f"/v3/volumes/{volume_id}", ok=202)
    assert work() == 0
    api.get(f"/v3/volumes/{volume_id}", ok=404)


@pytest.mark.parametrize("noted", [0, 1])
def test_a_volume_of_an_older_release_goes_back_to_the_size_that_it_had(
    api: Client, db: Database, work: Callable[[], int], give_up: Callable[[], None], noted: int
) -> None:
    volume_id = make(api, size=2)["id"]
    work()
    db.run(lambda tx: tx.execute(update(Volume).values(observed_gib=noted)))  # it made or grew it, and noted nothing
    action(api, volume_id, "os-extend", new_size=3)
    give_up()
    assert (shown(api, volume_id)["status"], shown(api, volume_id)["size"]) == ("error_extending", 2)


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
