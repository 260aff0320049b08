"""What other services may ask of volumes; runs in their transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from common.auth import Actor
from common.db import Tx
from volume.models import Attachment, Volume
from volume.names import POOL, volume_name
from volume.service import attachments, volumes


@dataclass(frozen=True)
class VolumeView:
    """A volume; its disk is `pool/rbd_image`."""

    id: str
    name: str
    size_gib: int
    status: str
    bootable: bool
    multiattach: bool
    pool: str
    rbd_image: str
    project_id: str


@dataclass(frozen=True)
class AttachmentView:
    """A volume at a server. `ready`: the volume is there to be opened; `failure`: why it never will be.

    `device` is the disk's name in the guest (vdb), `mountpoint` what clients are shown (/dev/vdb).
    """

    id: str
    volume_id: str
    server_id: str
    device: str
    mountpoint: str
    desired: str
    generation: int
    observed_generation: int
    delete_on_termination: bool
    pool: str
    rbd_image: str
    size_gib: int
    ready: bool
    failure: str | None = None
    attached_at: datetime | None = None
    bootable: bool = False


def get_volume(tx: Tx, actor: Actor, volume_id: str) -> VolumeView:
    """The volume, if the actor may know of it. Raises NotFound."""
    return _view(volumes.get(tx, actor, volume_id))


def create_volume(
    tx: Tx, actor: Actor, *, name: str, size_gib: int | None, image_id: str | None = None, snapshot_id: str | None = None,
    volume_type: str | None = None, description: str | None = None,
) -> VolumeView:  # fmt: skip
    """Make a volume; it can be attached in the same transaction, before it is there. Raises NotFound, BadRequest, OverQuota."""
    wish = volumes.NewVolume(
        size_gib=size_gib, name=name, description=description, type=volume_type, image_id=image_id, snapshot_id=snapshot_id
    )
    return _view(volumes.create(tx, actor, wish))


def delete_volume(tx: Tx, actor: Actor, volume_id: str) -> None:
    """Have a volume removed, whatever is being done to it. Raises NotFound, and BadRequest where it is attached or has snapshots."""
    volumes.delete(tx, actor, volume_id, force=True)


def attach(
    tx: Tx, actor: Actor, volume_id: str, server_id: str, *, device: str, mountpoint: str, delete_on_termination: bool = False
) -> AttachmentView:
    """Wish a volume at a server. Raises NotFound, and BadRequest when it is not available."""
    made = attachments.attach(
        tx, actor, volume_id, server_id, device=device, mountpoint=mountpoint, delete_on_termination=delete_on_termination
    )
    return _attachment(*made)


def detach(tx: Tx, attachment_id: str) -> None:
    """Wish an attachment away; the server's host takes the disk out."""
    attachments.detach(tx, attachment_id)


def attached(tx: Tx, attachment_id: str, generation: int) -> None:
    """The host has reported it in place, as `generation` wished."""
    attachments.attached(tx, attachment_id, generation)


def detached(tx: Tx, attachment_id: str) -> None:
    """The host has reported it gone."""
    attachments.detached(tx, attachment_id)


def refused(tx: Tx, attachment_id: str, message: str) -> None:
    """The guest did not let it go in time: it stays attached, with `message` as its fault."""
    attachments.refused(tx, attachment_id, message)


def attachments_of(tx: Tx, server_ids: Iterable[str]) -> dict[str, list[AttachmentView]]:
    """The attachments of each of these servers, oldest first, in one query; servers without any are left out."""
    found = attachments.of_servers(tx, server_ids)
    return {server_id: [_attachment(*pair) for pair in pairs] for server_id, pairs in found.items()}


def _view(found: volumes.Found) -> VolumeView:
    volume = found.volume
    return VolumeView(
        id=volume.id, name=volume.name or "", size_gib=volume.size_gib, status=found.status, bootable=volume.bootable, multiattach=False,
        pool=POOL, rbd_image=volume_name(volume.id), project_id=volume.project_id,
    )  # fmt: skip


def _attachment(attachment: Attachment, volume: Volume) -> AttachmentView:
    failure = volume.fault["message"] if volume.fault else None
    return AttachmentView(
        id=attachment.id, volume_id=volume.id, server_id=attachment.server_id, device=attachment.device,
        mountpoint=attachment.mountpoint, desired=attachment.desired, generation=attachment.generation,
        observed_generation=attachment.observed_generation, delete_on_termination=attachment.delete_on_termination, pool=POOL,
        rbd_image=volume_name(volume.id), size_gib=volume.size_gib, ready=volume.observed_generation > 0 and failure is None,
        failure=failure, attached_at=attachment.attached_at, bootable=volume.bootable,
    )  # fmt: skip
