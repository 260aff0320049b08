"""/volumes/{id}/action and /snapshots/{id}/action."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import LOOSE_BOOLEAN, TEXT, integer, obj, truth, wrapped
from common.errors import NotFound
from volume.api.shapes.metadata import METADATA_IN
from volume.api.shapes.volume import KNOWN_OF_IMAGE
from volume.service import snapshots, volumes

VOLUME = "/volumes/{volume_id}/action"
SNAPSHOT = "/snapshots/{snapshot_id}/action"
MARK = "volume:volume:reserve"
NOTHING: dict[str, Any] = {"type": ["object", "null", "string"]}


def _empty(name: str) -> dict[str, Any]:
    return wrapped(name, NOTHING)


@operation("POST", VOLUME, action=MARK, status=202, body_key="os-reserve", body=_empty("os-reserve"))
def reserve(request: Request) -> None:
    """Show it as attaching."""
    request.run(lambda tx: volumes.mark(tx, request.actor, request.path["volume_id"], only="available", label="attaching"))


@operation("POST", VOLUME, action=MARK, status=202, body_key="os-unreserve", body=_empty("os-unreserve"))
def unreserve(request: Request) -> None:
    """Take that back."""
    request.run(lambda tx: volumes.unmark(tx, request.actor, request.path["volume_id"], label="attaching"))


@operation("POST", VOLUME, action=MARK, status=202, body_key="os-begin_detaching", body=_empty("os-begin_detaching"))
def begin_detaching(request: Request) -> None:
    """Show it as detaching."""
    request.run(lambda tx: volumes.mark(tx, request.actor, request.path["volume_id"], only="in-use", label="detaching"))


@operation("POST", VOLUME, action=MARK, status=202, body_key="os-roll_detaching", body=_empty("os-roll_detaching"))
def roll_detaching(request: Request) -> None:
    """Take that back."""
    request.run(lambda tx: volumes.unmark(tx, request.actor, request.path["volume_id"], label="detaching"))


@operation(
    "POST", VOLUME, action="volume:volume:extend", status=202, body_key="os-extend",
    body=wrapped("os-extend", obj({"new_size": integer(1, volumes.SIZE_MOST)}, required=("new_size",))),
)  # fmt: skip
def extend(request: Request) -> None:
    """Make it larger, in GiB."""
    size = int(request.body["os-extend"]["new_size"])
    request.run(lambda tx: volumes.extend(tx, request.actor, request.path["volume_id"], size))


@operation(
    "POST", VOLUME, action="volume:volume:reset_status", status=202, body_key="os-reset_status",
    body=wrapped("os-reset_status", obj({"status": TEXT, "attach_status": {}, "migration_status": {}})),
)  # fmt: skip
def reset_status(request: Request) -> None:
    """Set the status that is shown; what the volume is does not change."""
    status = request.body["os-reset_status"].get("status")
    if status is not None:
        request.run(lambda tx: volumes.reset_status(tx, request.actor, request.path["volume_id"], status))


@operation("POST", VOLUME, action="volume:volume:force_delete", status=202, body_key="os-force_delete", body=_empty("os-force_delete"))
def force_delete(request: Request) -> None:
    """Delete it whatever its status; not while it is attached or has snapshots."""
    request.run(lambda tx: volumes.delete(tx, request.actor, request.path["volume_id"], force=True))


@operation(
    "POST", VOLUME, action="volume:volume:set_bootable", body_key="os-set_bootable",
    body=wrapped("os-set_bootable", obj({"bootable": LOOSE_BOOLEAN}, required=("bootable",))),
)  # fmt: skip
def set_bootable(request: Request) -> None:
    """Say whether it can be booted from."""
    bootable = truth(request.body["os-set_bootable"]["bootable"])

    def change(tx: Any) -> None:
        volumes.get_locked(tx, request.actor, request.path["volume_id"]).volume.bootable = bootable

    request.run(change)


@operation(
    "POST", VOLUME, action="volume:image_metadata:show", body_key="os-show_image_metadata", body=_empty("os-show_image_metadata"),
    answer=KNOWN_OF_IMAGE, read_only=True,
)  # fmt: skip
def show_image_metadata(request: Request) -> dict[str, Any]:
    """What it knows of its image."""
    return {"metadata": request.read(lambda tx: volumes.get(tx, request.actor, request.path["volume_id"]).volume.image_meta or {})}


@operation(
    "POST", VOLUME, action="volume:image_metadata:update", body_key="os-set_image_metadata",
    body=wrapped("os-set_image_metadata", METADATA_IN), answer=KNOWN_OF_IMAGE,
)  # fmt: skip
def set_image_metadata(request: Request) -> dict[str, Any]:
    """Set some of that."""
    given = {key: str(value) for key, value in request.body["os-set_image_metadata"]["metadata"].items()}

    def change(tx: Any) -> dict[str, Any]:
        volume = volumes.get_locked(tx, request.actor, request.path["volume_id"]).volume
        volume.image_meta = {**(volume.image_meta or {}), **given}
        return volume.image_meta

    return {"metadata": request.run(change)}


@operation(
    "POST", VOLUME, action="volume:image_metadata:update", body_key="os-unset_image_metadata",
    body=wrapped("os-unset_image_metadata", wrapped("key", TEXT)),
)  # fmt: skip
def unset_image_metadata(request: Request) -> None:
    """Remove one key of that."""
    key = request.body["os-unset_image_metadata"]["key"]

    def change(tx: Any) -> None:
        volume = volumes.get_locked(tx, request.actor, request.path["volume_id"]).volume
        if key not in (volume.image_meta or {}):
            raise NotFound(f"Metadata item {key!r} was not found.")
        volume.image_meta = {name: value for name, value in (volume.image_meta or {}).items() if name != key}

    request.run(change)


@operation(
    "POST", SNAPSHOT, action="volume:snapshot:reset_status", status=202, body_key="os-reset_status",
    body=wrapped("os-reset_status", obj({"status": TEXT}, required=("status",))),
)  # fmt: skip
def reset_snapshot_status(request: Request) -> None:
    """Set the status that a snapshot shows."""
    status = request.body["os-reset_status"]["status"]
    request.run(lambda tx: snapshots.reset_status(tx, request.actor, request.path["snapshot_id"], status))


@operation("POST", SNAPSHOT, action="volume:snapshot:force_delete", status=202, body_key="os-force_delete", body=_empty("os-force_delete"))
def force_delete_snapshot(request: Request) -> None:
    """Delete a snapshot whatever its status."""
    request.run(lambda tx: snapshots.delete(tx, request.actor, request.path["snapshot_id"], force=True))
