"""What other services may ask of images; runs in their transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest
from image.models import Image
from image.names import POOL, SNAPSHOT, twin_name
from image.service import images

# The pool of every image's data, where what clones held is purged after them.
IMAGES_POOL = POOL


@dataclass(frozen=True)
class BootImage:
    """What a disk can be cloned from: `pool/rbd_image@snapshot`, the raw form; not there yet unless `ready`.

    size: bytes of the disk; min_disk: GiB; min_ram: MiB. `failure` says why it will never be ready.
    """

    id: str
    name: str
    size: int
    min_disk: int
    min_ram: int
    disk_format: str
    container_format: str
    checksum: str
    data_size: int
    properties: Mapping[str, Any]
    pool: str
    rbd_image: str
    snapshot: str
    ready: bool
    failure: str | None = None


def get_bootable(tx: Tx, actor: Actor, image_id: str) -> BootImage:
    """The image, if the actor may know of it. Raises NotFound, and BadRequest when it cannot be booted: no data, or a failed conversion."""
    boot = _boot_image(images.get(tx, actor, image_id))
    if boot is None:
        raise BadRequest(f"Image {image_id} is not active.")
    if boot.failure:
        raise BadRequest(f"Image {image_id} is unacceptable: {boot.failure}")
    return boot


def boot_image(tx: Tx, image_id: str) -> BootImage | None:
    """The image as flows see it, whoever owns it; None when it is deleted or has no data."""
    image = tx.execute(select(Image).where(Image.id == image_id, Image.desired == "present")).scalar_one_or_none()
    return _boot_image(image) if image is not None else None


def _boot_image(image: Image) -> BootImage | None:
    if image.data is None or image.disk_format is None:
        return None
    raw = image.disk_format == "raw"
    failure = _failure(image)
    return BootImage(
        id=image.id, name=image.name or "", size=image.virtual_size or 0, min_disk=image.min_disk, min_ram=image.min_ram,
        disk_format=image.disk_format, container_format=str(image.container_format), checksum=str(image.checksum),
        data_size=image.size or 0, properties=dict(image.properties), pool=POOL,
        rbd_image=image.data if raw else twin_name(image.id), snapshot=SNAPSHOT,
        ready=raw or (image.settled and failure is None), failure=failure,
    )  # fmt: skip


def _failure(image: Image) -> str | None:
    """Why there will be no raw form; raw data is that form itself."""
    return str(image.fault["message"]) if image.fault and image.disk_format != "raw" else None
