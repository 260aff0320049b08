"""What a new server boots from: the checks of image against flavor, and the volumes that a request names or wants made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, NotFound
from compute.agent.domain_xml import SPARE_PORTS
from compute.models import Flavor
from compute.service.wishes import BlockDevice, NewServer
from image import public as image_public
from image.public import BootImage
from volume import public as volume_public

GIB = 1 << 30
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_DISKS = SPARE_PORTS + 1  # a running guest takes no more than it has ports for; its root has one of its own


@dataclass(frozen=True)
class Plan:
    """`image`: the root disk is its clone of `root_gib`; None when a volume is the root. `devices`: the volumes, root first."""

    image: BootImage | None
    root_gib: int
    devices: Sequence[BlockDevice]


def plan(tx: Tx, actor: Actor, wish: NewServer, flavor: Flavor) -> Plan:
    """What the request's disks come to. Raises BadRequest naming what does not fit."""
    if flavor.ephemeral_gib or flavor.swap_mib:
        raise BadRequest(f"Flavor {flavor.name} has an ephemeral disk or swap space; this cloud offers neither.")
    image_id = _local_image([item for item in wish.block_devices if item.destination == "local"], wish.image_id)
    volumes, on_volume = _volumes(wish)
    if on_volume:
        if image_id is not None:
            _image(tx, actor, image_id, flavor)  # it boots nothing then, and is judged all the same (Nova: `_check_requested_image`)
        return Plan(None, 0, volumes)
    if image_id is None:
        raise BadRequest("Invalid imageRef provided.")
    image = bootable(tx, actor, image_id, flavor)
    return Plan(image, flavor.disk_gib or -(-image.size // GIB), volumes)


def _volumes(wish: NewServer) -> tuple[list[BlockDevice], bool]:
    """The volumes that are named or wanted, root first, and whether one is the root."""
    volumes = sorted((item for item in wish.block_devices if item.destination == "volume"), key=_order)
    for item in volumes:
        _check(item, wish)
    on_volume = bool(volumes) and volumes[0].is_root
    if len(volumes) + (not on_volume) > MOST_DISKS:
        raise BadRequest(f"Block Device Mapping is Invalid: a server takes {MOST_DISKS} disks, its root included.")
    _check_sequence(wish)
    return volumes, on_volume


def _check_sequence(wish: NewServer) -> None:
    """Boot indexes count up from 0, each once; imageRef is the 0 where no device is. A root volume beside imageRef is fine (Nova: `_validate_bdm`)."""
    indexes = sorted(item.boot_index for item in wish.block_devices if item.boot_index is not None and item.boot_index >= 0)
    if 0 not in indexes and wish.image_id:
        indexes.insert(0, 0)
    if indexes != list(range(len(indexes))):
        raise BadRequest(
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid."
        )


def _order(item: BlockDevice) -> tuple[bool, int]:
    return (not item.is_root, item.boot_index if item.boot_index is not None and item.boot_index >= 0 else 1 << 20)


def _local_image(local: Sequence[BlockDevice], image_id: str | None) -> str | None:
    """The image of the root disk in the cluster's own pool."""
    for item in local:
        if item.source != "image" or not item.is_root:
            raise BadRequest(f"Block Device Mapping is Invalid: a local {item.source} disk is not offered, only the image that boots.")
        if not image_id:
            raise BadRequest("Block Device Mapping is Invalid: Mapping image to local is not supported.")
        if image_id != item.id:
            raise BadRequest("Block Device Mapping is Invalid: the local image is not the one of imageRef.")
    return image_id or None


def _check(item: BlockDevice, wish: NewServer) -> None:
    if item.source != "blank" and item.id is None:
        raise BadRequest("Missing device UUID.")
    if item.source in ("image", "blank") and not item.size_gib:
        raise BadRequest(f"{item.source.capitalize()}s with destination_type 'volume' need to have a non-zero size specified")
    if item.source == "volume" and wish.maximum > 1:
        raise BadRequest("Cannot attach one or more volumes to multiple instances")
    if item.is_root and item.source == "blank":
        raise BadRequest("Block Device Mapping is Invalid: a blank volume cannot be booted from.")


def bootable(tx: Tx, actor: Actor, image_id: str, flavor: Flavor) -> BootImage:
    """The image, fit for the flavor. Raises BadRequest."""
    image = _image(tx, actor, image_id, flavor)
    disk = flavor.disk_gib * GIB
    if disk and disk < image.min_disk * GIB:
        raise BadRequest(
            "Flavor's disk is smaller than the minimum size specified in image metadata."
            f" Flavor disk is {disk} bytes, minimum size is {image.min_disk * GIB} bytes."
        )
    if disk and disk < image.size:
        raise BadRequest(f"Flavor's disk is too small for requested image. Flavor disk is {disk} bytes, image is {image.size} bytes.")
    return image


def _image(tx: Tx, actor: Actor, image_id: str, flavor: Flavor) -> BootImage:
    """The image, whatever the disk that it would be on. Raises BadRequest."""
    try:
        image = image_public.get_bootable(tx, actor, image_id)
    except NotFound:
        raise BadRequest("Can not find requested image") from None
    if flavor.ram_mib < image.min_ram:
        raise BadRequest("Flavor's memory is too small for requested image.")
    return image


def attach_all(tx: Tx, actor: Actor, server_id: str, chosen: Plan) -> None:
    """Make the volumes that are wanted and attach all, in the order of the devices vda, vdb …"""
    first = 0 if chosen.image is None else 1
    for index, item in enumerate(chosen.devices, start=first):
        volume_id = _volume(tx, actor, item)
        device = f"vd{LETTERS[index]}"
        volume_public.attach(
            tx, actor, volume_id, server_id, device=device, mountpoint=f"/dev/{device}", delete_on_termination=item.delete_on_termination
        )


def _volume(tx: Tx, actor: Actor, item: BlockDevice) -> str:
    try:
        if item.source == "volume":
            found = volume_public.get_volume(tx, actor, str(item.id))
            if item.is_root and not found.bootable:
                raise BadRequest(f"Block Device {item.id} is not bootable.")
            return found.id
        made = volume_public.create_volume(
            tx, actor, name="", size_gib=item.size_gib, image_id=item.id if item.source == "image" else None,
            snapshot_id=item.id if item.source == "snapshot" else None,
        )  # fmt: skip
    except NotFound:
        raise BadRequest(f"Block Device Mapping is Invalid: failed to get {item.source} {item.id}.") from None
    return made.id
