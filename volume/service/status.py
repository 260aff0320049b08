"""The status of volumes and snapshots, once as Python and once as SQL; tests/api/test_volume_status.py runs both through one table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, false, select

from volume.models import Attachment, Snapshot, Volume

# What an operator may make a volume show.
SHOWABLE = (
    "creating", "available", "deleting", "error", "error_deleting", "attaching", "detaching", "in-use", "maintenance",
    "error_extending", "reserved",
)  # fmt: skip
SNAPSHOT_SHOWABLE = ("creating", "available", "deleting", "error", "error_deleting")


def attachment_status(desired: str | None, observed_generation: int | None) -> str | None:
    """What an attachment makes of its volume; None where there is none."""
    if desired is None:
        return None
    if desired == "absent":
        return "detaching"
    return "in-use" if observed_generation else "attaching"


def status_of(
    *, desired: str, generation: int, observed_generation: int, failed: bool, label: str | None, attachment: str | None = None,
    made: bool = False,
) -> str:  # fmt: skip
    """What clients see. `attachment` is `attachment_status`'s word, `made` says that only growing can have failed; a snapshot has neither."""
    if desired == "absent":
        return "error_deleting" if failed else "deleting"
    if label is not None:
        return label
    if failed:
        return "error_extending" if made else "error"
    if not observed_generation:
        return "creating"
    if attachment is not None:
        return attachment
    return "available" if observed_generation == generation else "extending"


def status_of_volume(volume: Volume, attachment: Attachment | None) -> str:
    """The status of a volume with its attachment, as the rows were read."""
    attached = attachment_status(attachment.desired, attachment.observed_generation) if attachment else None
    return status_of(
        desired=volume.desired, generation=volume.generation, observed_generation=volume.observed_generation,
        failed=volume.fault is not None, label=volume.label, attachment=attached, made=volume.observed_gib > 0,
    )  # fmt: skip


def status_of_snapshot(snapshot: Snapshot) -> str:
    """The status of a snapshot as the row was read."""
    return status_of(
        desired=snapshot.desired, generation=snapshot.generation, observed_generation=snapshot.observed_generation,
        failed=snapshot.fault is not None, label=snapshot.label,
    )  # fmt: skip


def _sql(model: Any, attachment: ColumnElement[str | None] | None, made: ColumnElement[bool]) -> ColumnElement[str]:
    failed = model.fault.is_not(None)
    whens: list[Any] = [
        ((model.desired == "absent") & failed, "error_deleting"), (model.desired == "absent", "deleting"),
        (model.label.is_not(None), model.label), (failed & made, "error_extending"), (failed, "error"),
        (model.observed_generation == 0, "creating"),
    ]  # fmt: skip
    if attachment is not None:
        whens.append((attachment.is_not(None), attachment))
    whens.append((model.observed_generation == model.generation, "available"))
    return case(*whens, else_="extending")


def _attachment_sql() -> ColumnElement[str | None]:
    word = case((Attachment.desired == "absent", "detaching"), (Attachment.observed_generation != 0, "in-use"), else_="attaching")
    return select(word).where(Attachment.volume_id == Volume.id).correlate(Volume).scalar_subquery()


def volume_status_sql() -> ColumnElement[str]:
    """`status_of_volume` for filters and sorting."""
    return _sql(Volume, _attachment_sql(), Volume.observed_gib > 0)


def snapshot_status_sql() -> ColumnElement[str]:
    """`status_of_snapshot` for filters and sorting."""
    return _sql(Snapshot, None, false())
