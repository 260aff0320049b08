"""The stories of images for the gate: a twin is made, a dead upload is swept, an image is deleted, at rest and under way."""

from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import select, update

from common import jobs
from common.db import Database, Tx, clock
from common.rbd import BlockStore, SnapshotName
from common.rbd_memory import Memory
from image.engine.convert import Converter
from image.engine.store import ImageStore
from image.flows import image_data, image_delete
from image.models import Image
from image.names import SNAPSHOT, twin_name
from tests.flows.gate import Scenario
from tests.support.image import FakeConverter

FLOWS = (image_data.FLOW, image_delete.FLOW)


class Twin(Scenario):
    """The upload of a qcow2 image is over; its raw form is made."""

    name = "image.data:twin"
    flows = FLOWS
    fmt = "qcow2"

    def __init__(self) -> None:
        self.blocks = Memory()
        self.store = ImageStore(self.blocks)
        self.converter = FakeConverter(self.store, slow=True)
        self.image_id = str(uuid.uuid4())

    def engines(self) -> list[tuple[type, object]]:
        return [(BlockStore, self.blocks), (Converter, self.converter)]

    def begin(self, db: Database) -> str:
        self.blocks.create("images", self.image_id, 65536)
        self.blocks.snapshot("images", self.image_id, SNAPSHOT)
        with db.transaction() as tx:
            tx.add(self.row())
            tx.flush()
            jobs.enqueue(tx, image_data.FLOW, self.image_id)
        return self.image_id

    def row(self) -> Image:
        return Image(
            id=self.image_id, owner="p", disk_format=self.fmt, container_format="bare", data=self.image_id, size=65536, upload=1,
            virtual_size=1 << 20, generation=2, observed_generation=1,
        )  # fmt: skip

    def outside(self, db: Database) -> None:
        self.converter.finish()

    def image(self, db: Database) -> Image:
        with db.transaction() as tx:
            return tx.execute(select(Image)).scalar_one()

    def check(self, db: Database) -> None:
        image = self.image(db)
        assert image.settled
        assert image.fault is None
        self.converter.finish()
        assert self.store.names_of(self.image_id) == [self.image_id, twin_name(self.image_id)]
        assert self.store.size(twin_name(self.image_id)) == 1 << 20

    def check_failed(self, db: Database) -> None:
        fault = self.image(db).fault
        assert fault is not None
        assert fault["code"] == 500


class DeadUpload(Twin):
    """An upload's process died; when its time has run out its bytes go, and the image waits for others."""

    name = "image.data:dead-upload"
    fmt = "raw"

    def begin(self, db: Database) -> str:
        self.blocks.create("images", self.image_id, 512)
        with db.transaction() as tx:
            tx.add(
                Image(
                    id=self.image_id, owner="p", disk_format="raw", container_format="bare", upload=1, generation=2, observed_generation=1
                )
            )
            tx.flush()
            until = clock() + timedelta(seconds=60)
            tx.execute(update(Image).values(upload_until=until).execution_options(synchronize_session=False))
            jobs.enqueue(tx, image_data.FLOW, self.image_id)
        return self.image_id

    def check(self, db: Database) -> None:
        image = self.image(db)
        assert image.settled
        assert image.data is None
        assert image.upload_until is None
        assert self.store.names_of(self.image_id) == []


class Delete(Twin):
    """An image with data, twin, an unfinished conversion and a clone is deleted; the clone lives on."""

    name = "image.delete"

    def begin(self, db: Database) -> str:
        super().begin(db)
        for name in (twin_name(self.image_id), f"{self.image_id}.raw.7"):
            self.blocks.create("images", name, 512)
            self.blocks.snapshot("images", name, SNAPSHOT)
        self.blocks.clone(SnapshotName("images", twin_name(self.image_id), SNAPSHOT), "volumes", "clone")
        db.run(self.remove)
        return self.image_id

    def remove(self, tx: Tx) -> None:
        image = tx.get(Image, self.image_id, with_for_update=True)
        if image is not None and image.desired != "absent":
            image.desired = "absent"
            image.touch()
            jobs.divert(tx, image_delete.FLOW, self.image_id)

    def gone(self, db: Database) -> None:
        with db.transaction() as tx:
            assert tx.execute(select(Image)).all() == []
        self.converter.finish()
        assert self.store.names_of(self.image_id) == []

    def check(self, db: Database) -> None:
        self.gone(db)
        assert self.blocks.names("volumes") == ["clone"]
        self.blocks.remove("volumes", "clone")
        assert self.blocks.purge("images") == 0

    def check_failed(self, db: Database) -> None:
        assert self.image(db).desired == "absent"


class DeleteUnderWay(Delete):
    """The delete comes between any two steps of the conversion."""

    name = "image.delete:under-way"
    can_edit = True
    edited = False

    def begin(self, db: Database) -> str:
        return Twin.begin(self, db)

    def edit(self, db: Database, subject_id: str) -> None:
        db.run(self.remove)
        self.edited = True

    def check(self, db: Database) -> None:
        if self.edited:
            self.gone(db)
        else:
            Twin.check(self, db)

    def check_failed(self, db: Database) -> None:
        Twin.check_failed(self, db)


SCENARIOS = [Twin, DeadUpload, Delete, DeleteUnderWay]
