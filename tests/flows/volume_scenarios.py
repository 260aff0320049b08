"""The stories of volumes and snapshots for the gate: made, grown, deleted, at rest and under way."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import func, select

from common import jobs
from common.db import Database, Tx
from common.rbd import BlockStore, SnapshotName, StoreFull
from common.rbd_memory import Memory
from image.models import Image
from tests.flows.gate import Scenario
from volume.engine.store import VolumeStore
from volume.flows import sizes, snapshot_create, snapshot_delete, volume_create, volume_delete, volume_extend
from volume.models import Snapshot, Volume, VolumeType
from volume.names import GIB, POOL, snapshot_name, volume_name
from volume.service.status import status_of_snapshot, status_of_volume

FLOWS = (volume_create.FLOW, volume_extend.FLOW, volume_delete.FLOW, snapshot_create.FLOW, snapshot_delete.FLOW)


class Create(Scenario):
    """An empty volume is made."""

    name = "volume.create"
    flows = FLOWS

    def __init__(self) -> None:
        self.blocks = Memory()
        self.store = VolumeStore(self.blocks)
        self.volume_id = str(uuid.uuid4())
        self.gone = False

    def engines(self) -> list[tuple[type, object]]:
        return [(BlockStore, self.blocks)]

    def begin(self, db: Database) -> str:
        with db.transaction() as tx:
            self.add(tx, observed_generation=0)
            jobs.enqueue(tx, volume_create.FLOW, self.volume_id)
        return self.volume_id

    def add(self, tx: Tx, **more: Any) -> None:
        type_id = tx.execute(select(VolumeType.id)).scalar_one()
        values = {"project_id": "p", "user_id": "u", "size_gib": 1, "availability_zone": "nova", **more}
        tx.add(Volume(id=self.volume_id, type_id=type_id, **values))
        tx.flush()

    def remove(self, tx: Tx) -> None:
        """As DELETE does."""
        volume = tx.get(Volume, self.volume_id, with_for_update=True)
        if volume is not None and volume.desired != "absent":
            volume.desired = "absent"
            volume.touch()
            jobs.divert(tx, volume_delete.FLOW, self.volume_id)
        self.gone = True

    def volume(self, db: Database) -> Volume:
        with db.transaction() as tx:
            return tx.execute(select(Volume).where(Volume.id == self.volume_id)).scalar_one()

    def check(self, db: Database) -> None:
        if self.gone:
            self.check_gone(db)
            return
        volume = self.volume(db)
        assert status_of_volume(volume, None) == "available"
        assert self.store.names_of(self.volume_id) == [volume_name(self.volume_id)]
        assert self.store.size(self.volume_id) == volume.size_gib * GIB

    def check_gone(self, db: Database) -> None:
        with db.transaction() as tx:
            assert tx.execute(select(func.count()).select_from(Volume)).scalar() == 0
        assert self.store.names_of(self.volume_id) == []
        assert self.blocks.purge(POOL) == 0

    def check_failed(self, db: Database) -> None:
        assert status_of_volume(self.volume(db), None) == "error"


class CreateFromImage(Create):
    """A clone of an image's raw data; the delete comes under way."""

    name = "volume.create:from-image"
    can_edit = True

    def begin(self, db: Database) -> str:
        image_id = str(uuid.uuid4())
        self.blocks.create("images", image_id, 512)
        self.blocks.snapshot("images", image_id, "snap")
        with db.transaction() as tx:
            tx.add(Image(id=image_id, owner="p", disk_format="raw", container_format="bare", data=image_id, size=512, virtual_size=512))
            self.add(tx, image_id=image_id)
            jobs.enqueue(tx, volume_create.FLOW, self.volume_id)
        return self.volume_id

    def edit(self, db: Database, subject_id: str) -> None:
        db.run(self.remove)


class Extend(Create):
    """A volume grows, and again under way."""

    name = "volume.extend"
    can_edit = True

    def begin(self, db: Database) -> str:
        self.store.ensure_volume(self.volume_id, GIB, 1)
        with db.transaction() as tx:
            self.add(tx, observed_generation=1, observed_gib=1)
            self.grow(tx, 2)
        return self.volume_id

    def grow(self, tx: Tx, size: int) -> None:
        volume = tx.get(Volume, self.volume_id, with_for_update=True)
        assert volume is not None
        if volume.size_gib < size:
            volume.size_gib = size
            volume.touch()
            jobs.enqueue(tx, volume_extend.FLOW, self.volume_id)

    def edit(self, db: Database, subject_id: str) -> None:
        db.run(lambda tx: self.grow(tx, 3))

    def check_failed(self, db: Database) -> None:
        self.check_kept(db)

    def check_kept(self, db: Database) -> None:
        """It is what it was, and may be grown again."""
        volume = self.volume(db)
        assert status_of_volume(volume, None) == "error_extending"
        assert volume.size_gib * GIB == self.store.size(self.volume_id) == GIB
        assert volume.observed_generation == volume.generation


class Full(Memory):
    """A store that has no room for more."""

    def resize(self, pool: str, name: str, size: int) -> None:
        raise StoreFull(f"{pool}/{name}: the pool is full")


class ExtendRefused(Extend):
    """A volume cannot grow."""

    name = "volume.extend:full"
    can_edit = False

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Full()
        self.store = VolumeStore(self.blocks)

    def check(self, db: Database) -> None:
        self.check_kept(db)
        assert (self.volume(db).fault or {})["code"] == 413


class ExtendUnnoted(ExtendRefused):
    """A volume has grown, the worker died before it was noted, and now the store refuses."""

    name = "volume.extend:unnoted"

    def begin(self, db: Database) -> str:
        self.store.ensure_volume(self.volume_id, 2 * GIB, 1)
        with db.transaction() as tx:
            self.add(tx, observed_generation=1, observed_gib=1)
            self.grow(tx, 3)
        return self.volume_id

    def check_failed(self, db: Database) -> None:
        """Nobody could learn the size; the sweep does."""
        sizes.recheck(db, self.store)
        self.check_kept(db)

    def check_kept(self, db: Database) -> None:
        volume = self.volume(db)
        assert status_of_volume(volume, None) == "error_extending"
        assert (volume.size_gib, volume.observed_gib, self.store.size(self.volume_id)) == (2, 2, 2 * GIB)


class ExtendLost(ExtendRefused):
    """The data of a volume is gone."""

    name = "volume.extend:lost"

    def begin(self, db: Database) -> str:
        with db.transaction() as tx:
            self.add(tx, observed_generation=1, observed_gib=1)
            self.grow(tx, 2)
        return self.volume_id

    def check(self, db: Database) -> None:
        volume = self.volume(db)
        assert status_of_volume(volume, None) == "error"
        assert (volume.size_gib, volume.observed_gib) == (1, 0)

    def check_failed(self, db: Database) -> None:
        sizes.recheck(db, self.store)
        self.check(db)


class Delete(Create):
    """A volume is deleted with a leftover beside it."""

    name = "volume.delete"

    def begin(self, db: Database) -> str:
        self.store.ensure_volume(self.volume_id, GIB, 1)
        self.blocks.create(POOL, f"{volume_name(self.volume_id)}.9", 512)
        with db.transaction() as tx:
            self.add(tx, observed_generation=1)
            self.remove(tx)
        return self.volume_id

    def check_failed(self, db: Database) -> None:
        assert self.volume(db).desired == "absent"


class CascadingDelete(Delete):
    """A volume is deleted with its snapshot, of which a clone lives on."""

    name = "volume.delete:cascade"

    def begin(self, db: Database) -> str:
        snapshot_id = str(uuid.uuid4())
        self.store.ensure_volume(self.volume_id, GIB, 1)
        self.store.ensure_snapshot(self.volume_id, snapshot_id)
        self.blocks.clone(SnapshotName(POOL, volume_name(self.volume_id), snapshot_name(snapshot_id)), POOL, "volume-clone")
        with db.transaction() as tx:
            self.add(tx, observed_generation=1)
            row = Snapshot(
                id=snapshot_id, volume_id=self.volume_id, project_id="p", user_id="u", size_gib=1, desired="absent", generation=2
            )
            tx.add(row)
            tx.flush()
            jobs.divert(tx, snapshot_delete.FLOW, snapshot_id)
            self.remove(tx)
        return self.volume_id

    def check_gone(self, db: Database) -> None:
        if "volume-clone" in self.blocks.names(POOL):
            self.blocks.remove(POOL, "volume-clone")
        super().check_gone(db)


class SnapshotCreate(Create):
    """A snapshot is taken; its delete comes under way."""

    name = "snapshot.create"
    can_edit = True

    def __init__(self) -> None:
        super().__init__()
        self.snapshot_id = str(uuid.uuid4())

    def begin(self, db: Database) -> str:
        self.store.ensure_volume(self.volume_id, GIB, 1)
        with db.transaction() as tx:
            self.add(tx, observed_generation=1)
            tx.add(Snapshot(id=self.snapshot_id, volume_id=self.volume_id, project_id="p", user_id="u", size_gib=1))
            tx.flush()
            jobs.enqueue(tx, snapshot_create.FLOW, self.snapshot_id)
        return self.snapshot_id

    def edit(self, db: Database, subject_id: str) -> None:
        def remove(tx: Tx) -> None:
            snapshot = tx.get(Snapshot, self.snapshot_id, with_for_update=True)
            if snapshot is not None and snapshot.desired != "absent":
                snapshot.desired = "absent"
                snapshot.touch()
                jobs.divert(tx, snapshot_delete.FLOW, self.snapshot_id)

        db.run(remove)
        self.gone = True

    def snapshot(self, db: Database) -> Snapshot | None:
        with db.transaction() as tx:
            return tx.execute(select(Snapshot)).scalar_one_or_none()

    def check(self, db: Database) -> None:
        snapshot, info = self.snapshot(db), self.blocks.info(POOL, volume_name(self.volume_id))
        assert info is not None
        if self.gone:
            assert snapshot is None
            assert info.snapshots == frozenset()
        else:
            assert snapshot is not None
            assert status_of_snapshot(snapshot) == "available"
            assert info.snapshots == {snapshot_name(self.snapshot_id)}

    def check_failed(self, db: Database) -> None:
        snapshot = self.snapshot(db)
        assert snapshot is not None
        assert status_of_snapshot(snapshot) == "error"


class SnapshotDelete(Create):
    """A snapshot is deleted that a volume is still to be made from; the delete's job comes first."""

    name = "snapshot.delete:copied"

    def begin(self, db: Database) -> str:
        parent_id, snapshot_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.store.ensure_volume(parent_id, GIB, 1)
        self.store.ensure_snapshot(parent_id, snapshot_id)
        with db.transaction() as tx:
            self.add(tx, observed_generation=0, snapshot_id=snapshot_id)
            made = tx.get_one(Volume, self.volume_id)
            owned = {"project_id": "p", "user_id": "u", "size_gib": 1}
            tx.add(Volume(id=parent_id, type_id=made.type_id, availability_zone="nova", observed_generation=1, observed_gib=1, **owned))
            tx.flush()
            tx.add(Snapshot(id=snapshot_id, volume_id=parent_id, desired="absent", generation=2, observed_generation=1, **owned))
            tx.flush()
            jobs.divert(tx, snapshot_delete.FLOW, snapshot_id)
            jobs.enqueue(tx, volume_create.FLOW, self.volume_id)
        self.parent_id = parent_id
        return snapshot_id

    def check(self, db: Database) -> None:
        super().check(db)
        with db.transaction() as tx:
            assert tx.execute(select(func.count()).select_from(Snapshot)).scalar() == 0
        info = self.blocks.info(POOL, volume_name(self.parent_id))
        assert info is not None
        assert info.snapshots == frozenset()


# The empty volume, the plain delete and the snapshot's are parts of these.
SCENARIOS = [CreateFromImage, Extend, ExtendRefused, ExtendUnnoted, ExtendLost, CascadingDelete, SnapshotCreate, SnapshotDelete]
