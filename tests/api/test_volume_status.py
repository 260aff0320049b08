"""The status of volumes, snapshots and images is one function, written as Python and as SQL: every combination through both."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from common.db import Database
from image.models import Image
from image.service.status import status_of_image
from image.service.status import status_sql as image_status_sql
from volume.models import Attachment, Snapshot, Volume, VolumeType
from volume.service.status import snapshot_status_sql, status_of_snapshot, status_of_volume, volume_status_sql

FAULT = {"code": 500, "message": "x", "created": "now"}
STATES = list(itertools.product(("present", "absent"), (0, 1, 2), (None, FAULT), (None, "attaching", "error")))
SIZES = (0, 1)
ATTACHMENTS = [None, ("present", 0), ("present", 1), ("absent", 0), ("absent", 1)]


def volume(type_id: str, desired: str, observed: int, fault: dict[str, object] | None, label: str | None, observed_gib: int = 1) -> Volume:
    return Volume(
        id=str(uuid.uuid4()), project_id="p", user_id="u", size_gib=1, type_id=type_id, availability_zone="nova", desired=desired,
        generation=2, observed_generation=observed, fault=fault, label=label, observed_gib=observed_gib,
    )  # fmt: skip


def test_volumes(db: Database) -> None:
    with db.transaction() as tx:
        type_id = tx.execute(select(VolumeType.id)).scalar_one()
        for state, attached, observed_gib in itertools.product(STATES, ATTACHMENTS, SIZES):
            row = volume(type_id, *state, observed_gib)
            tx.add(row)
            tx.flush()
            if attached:
                tx.add(
                    Attachment(
                        volume_id=row.id,
                        server_id="s",
                        device="vdb",
                        mountpoint="/dev/vdb",
                        desired=attached[0],
                        observed_generation=attached[1],
                    )
                )
        tx.flush()
        rows = tx.execute(select(Volume, Attachment, volume_status_sql()).outerjoin(Attachment, Attachment.volume_id == Volume.id)).all()
        assert len(rows) == len(STATES) * len(ATTACHMENTS) * len(SIZES)
        assert [status_of_volume(row, attachment) for row, attachment, _ in rows] == [status for *_, status in rows]
        assert {status for *_, status in rows} == {
            "creating", "available", "extending", "attaching", "in-use", "detaching", "deleting", "error", "error_deleting",
            "error_extending",
        }  # fmt: skip


def test_snapshots(db: Database) -> None:
    with db.transaction() as tx:
        parent = volume(tx.execute(select(VolumeType.id)).scalar_one(), "present", 2, None, None)
        tx.add(parent)
        tx.flush()
        for desired, observed, fault, label in STATES:
            tx.add(
                Snapshot(
                    volume_id=parent.id,
                    project_id="p",
                    user_id="u",
                    size_gib=1,
                    desired=desired,
                    generation=2,
                    observed_generation=observed,
                    fault=fault,
                    label=label,
                )
            )
        tx.flush()
        rows = tx.execute(select(Snapshot, snapshot_status_sql())).all()
        assert len(rows) == len(STATES)
        assert [status_of_snapshot(row) for row, _ in rows] == [status for _, status in rows]


def test_images(db: Database) -> None:
    now = datetime.now(UTC)
    moments = (None, now - timedelta(hours=1), now + timedelta(hours=1))
    with db.transaction() as tx:
        for desired, data, until in itertools.product(("present", "absent"), (None, "x"), moments):
            tx.add(Image(owner="p", desired=desired, data=data, upload_until=until))
        tx.flush()
        tx.expire_all()
        rows = tx.execute(select(Image, image_status_sql())).all()
        assert [status_of_image(row) for row, _ in rows] == [status for _, status in rows]
        assert {status for _, status in rows} == {"queued", "saving", "active", "deleted"}
