"""The rules of volumes: who sees them, what a request means. All run in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, select, true

from common import jobs
from common.auth import Actor
from common.db import Tx, lock_projects
from common.errors import BadRequest, NotFound
from image import public as image_public
from volume.flows import snapshot_delete, volume_create, volume_delete, volume_extend
from volume.models import Attachment, Snapshot, Volume, VolumeType
from volume.names import GIB
from volume.service import quotas, types
from volume.service.status import SHOWABLE, status_of_snapshot, status_of_volume

ZONE = "nova"
SIZE_MOST = 65536
DELETABLE = ("available", "error", "error_deleting", "error_extending", "error_restoring", "error_managing", "deleting")
# A volume whose growing failed is as it was before.
INTACT = ("available", "error_extending")
MADE = "volume.made"


@dataclass(frozen=True)
class NewVolume:
    """What a request for a volume says; `size_gib` None is that of the snapshot."""

    size_gib: int | None
    name: str | None = None
    description: str | None = None
    type: str | None = None
    image_id: str | None = None
    snapshot_id: str | None = None
    availability_zone: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A volume with what is shown beside it."""

    volume: Volume
    type_name: str
    attachment: Attachment | None

    @property
    def id(self) -> str:
        """The volume's id."""
        return self.volume.id

    @property
    def status(self) -> str:
        """The volume's status."""
        return status_of_volume(self.volume, self.attachment)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL for: the actor may know of the volume."""
    return true() if actor.is_admin else Volume.project_id == actor.project_id


def beside(volumes: list[Volume], tx: Tx) -> list[Found]:
    """The volumes with their types' names and attachments, in one query."""
    statement = (
        select(Volume.id, VolumeType.name, Attachment)
        .join(VolumeType, VolumeType.id == Volume.type_id)
        .outerjoin(Attachment, Attachment.volume_id == Volume.id)
        .where(Volume.id.in_([volume.id for volume in volumes]))
    )
    known = {row[0]: (row[1], row[2]) for row in tx.execute(statement)} if volumes else {}
    return [Found(volume, *known[volume.id]) for volume in volumes if volume.id in known]


def _select(actor: Actor, volume_id: str) -> Select[Any]:
    return select(Volume).where(Volume.id == volume_id, visible_to(actor))


def get(tx: Tx, actor: Actor, volume_id: str) -> Found:
    """A volume that the actor may know of. Raises NotFound."""
    return _found(tx, _select(actor, volume_id), volume_id)


def get_locked(tx: Tx, actor: Actor, volume_id: str) -> Found:
    """The same, locked and read afresh."""
    statement = _select(actor, volume_id).with_for_update(of=Volume).execution_options(populate_existing=True)
    return _found(tx, statement, volume_id)


def _found(tx: Tx, statement: Select[Any], volume_id: str) -> Found:
    volume = tx.execute(statement).scalar_one_or_none()
    found = beside([volume], tx) if volume is not None else []
    if not found:
        raise NotFound(f"Volume {volume_id} could not be found.")
    return found[0]


def create(tx: Tx, actor: Actor, wish: NewVolume) -> Found:
    """Make a volume's row and the job that brings it about. Raises BadRequest, NotFound, OverQuota."""
    lock_projects(tx, actor.project)
    if wish.availability_zone not in (None, "", ZONE):
        raise BadRequest(f"Invalid input received: Availability zone '{wish.availability_zone}' is invalid.")
    volume = Volume(
        project_id=actor.project, user_id=actor.user_id, name=wish.name, description=wish.description, availability_zone=ZONE,
        meta=dict(wish.metadata),
    )  # fmt: skip
    kind = wish.type
    if wish.snapshot_id is not None:
        its_type = _from_snapshot(tx, actor, volume, wish.snapshot_id, wish.size_gib)
        kind = kind or its_type
    else:
        if wish.size_gib is None:
            raise BadRequest("Invalid input for field/attribute size: a size in GiB is needed.")
        volume.size_gib = wish.size_gib
    if wish.image_id is not None:
        _from_image(tx, actor, volume, wish.image_id)
    if volume.size_gib > SIZE_MOST:
        raise BadRequest(f"Invalid input for field/attribute size. Value: {volume.size_gib}. It must not be more than {SIZE_MOST}.")
    volume.type_id = types.chosen(tx, actor, kind).id
    quotas.check(tx, actor.project, volumes=1, gigabytes=volume.size_gib, volume_size=volume.size_gib)
    tx.add(volume)
    tx.flush()
    tx.info.setdefault(MADE, set()).add(volume.id)
    jobs.enqueue(tx, volume_create.FLOW, volume.id, actor=actor.user_id, project_id=volume.project_id)
    return _found(tx, select(Volume).where(Volume.id == volume.id), volume.id)


def _from_image(tx: Tx, actor: Actor, volume: Volume, image_id: str) -> None:
    try:
        image = image_public.get_bootable(tx, actor, image_id)
    except NotFound:
        raise BadRequest(f"Invalid image identifier or unable to access requested image: {image_id}.") from None
    needed = -(-image.size // GIB)
    if needed > volume.size_gib:
        raise BadRequest(f"Invalid input received: Size of specified image {needed}GB is larger than volume size {volume.size_gib}GB.")
    if image.min_disk > volume.size_gib:
        raise BadRequest(
            f"Invalid input received: Volume size {volume.size_gib}GB cannot be smaller than the image minDisk size {image.min_disk}GB."
        )
    volume.image_id, volume.bootable = image_id, True
    volume.image_meta = {
        "image_id": image_id, "image_name": image.name, "checksum": image.checksum, "container_format": image.container_format,
        "disk_format": image.disk_format, "min_disk": str(image.min_disk), "min_ram": str(image.min_ram), "size": str(image.data_size),
        **{key: value for key, value in image.properties.items() if value is not None},
    }  # fmt: skip


def _from_snapshot(tx: Tx, actor: Actor, volume: Volume, snapshot_id: str, size_gib: int | None) -> str:
    """Fill in what comes of a snapshot, held for the transaction; the id of its volume's type."""
    owned = true() if actor.is_admin else Snapshot.project_id == actor.project_id
    statement = select(Snapshot).where(Snapshot.id == snapshot_id, owned).with_for_update(of=Snapshot)
    snapshot = tx.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()
    if snapshot is None:
        raise NotFound(f"Snapshot {snapshot_id} could not be found.")
    status = status_of_snapshot(snapshot)
    if status != "available" or snapshot.desired != "present":
        raise BadRequest(f"Invalid snapshot: Originating snapshot status must be one of 'available' values; it is {status}.")
    if size_gib is not None and size_gib < snapshot.size_gib:
        raise BadRequest(
            f"Invalid input received: Invalid volume size provided for create request: {size_gib}. The volume size must not be smaller"
            f" than the snapshot size {snapshot.size_gib}GB."
        )
    source = tx.execute(select(Volume).where(Volume.id == snapshot.volume_id)).scalar_one()
    volume.snapshot_id, volume.size_gib = snapshot_id, size_gib or snapshot.size_gib
    volume.bootable, volume.image_meta = source.bootable, source.image_meta
    return source.type_id


def delete(tx: Tx, actor: Actor, volume_id: str, *, cascade: bool = False, force: bool = False) -> None:
    """Have a volume removed, with its snapshots if `cascade`. Raises NotFound, and BadRequest where its state does not allow it."""
    found = get_locked(tx, actor, volume_id)
    volume = found.volume
    if found.attachment is not None or (found.status not in DELETABLE and not force):
        raise BadRequest(
            "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must "
            f"not be migrating, attached, belong to a group, have snapshots. Volume {volume_id} is {found.status}."
        )
    kept = list(tx.execute(select(Snapshot).where(Snapshot.volume_id == volume_id).order_by(Snapshot.id).with_for_update()).scalars())
    if kept and not cascade:
        raise BadRequest(f"Invalid volume: Volume {volume_id} still has {len(kept)} dependent snapshots.")
    for snapshot in kept:
        remove(tx, actor, snapshot, snapshot_delete.FLOW)
    remove(tx, actor, volume, volume_delete.FLOW)


def remove(tx: Tx, actor: Actor, row: Volume | Snapshot, flow: jobs.Flow[Any]) -> None:
    """Wish a row's thing gone, and set its job to that."""
    row.desired, row.label, row.fault = "absent", None, None
    row.touch()
    jobs.divert(tx, flow, row.id, actor=actor.user_id, project_id=row.project_id)


def extend(tx: Tx, actor: Actor, volume_id: str, size_gib: int) -> None:
    """Make a volume larger. Raises NotFound, BadRequest, OverQuota."""
    project_id = get(tx, actor, volume_id).volume.project_id
    lock_projects(tx, project_id)
    found = get_locked(tx, actor, volume_id)
    volume = found.volume
    if found.status not in INTACT:
        raise BadRequest(f"Invalid volume: Volume {volume_id} status must be {' or '.join(INTACT)} to extend, currently {found.status}.")
    if size_gib <= volume.size_gib:
        raise BadRequest(
            f"Invalid input received: New size for extend must be greater than current size. (current: {volume.size_gib}, "
            f"extended: {size_gib})."
        )
    quotas.check(tx, project_id, gigabytes=size_gib - volume.size_gib, volume_size=size_gib)
    if volume.settled and volume.fault is None:  # what is at rest has its size; a worker of an older release did not note it
        volume.observed_gib = volume.size_gib
    volume.size_gib, volume.label, volume.fault = size_gib, None, None
    volume.touch()
    jobs.enqueue(tx, volume_extend.FLOW, volume.id, actor=actor.user_id, project_id=project_id)


def mark(tx: Tx, actor: Actor, volume_id: str, *, only: str, label: str) -> None:
    """Show `label` on a volume whose status is `only`. Raises NotFound, BadRequest."""
    found = get_locked(tx, actor, volume_id)
    if found.status != only:
        raise BadRequest(f"Invalid volume: Volume {volume_id} status must be {only} for this, currently {found.status}.")
    found.volume.label = label


def unmark(tx: Tx, actor: Actor, volume_id: str, *, label: str) -> None:
    """Take `label` off a volume, if it shows it. Raises NotFound."""
    volume = get_locked(tx, actor, volume_id).volume
    if volume.label == label:
        volume.label = None


def reset_status(tx: Tx, actor: Actor, volume_id: str, status: str) -> None:
    """Show `status` on a volume until its wish changes; nothing else comes of it. Raises NotFound, BadRequest."""
    if status not in SHOWABLE:
        raise BadRequest(f"Invalid input for field/attribute status. Value: {status}. It must be one of {', '.join(SHOWABLE)}.")
    get_locked(tx, actor, volume_id).volume.label = status
