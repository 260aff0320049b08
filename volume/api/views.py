"""How volumes, snapshots and types look on the wire at 3.0; their shapes are in `volume.api.shapes`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.api.request import Request
from volume.models import Snapshot, VolumeType
from volume.service.status import status_of_snapshot
from volume.service.volumes import Found


def moment(value: datetime | None) -> str | None:
    """A moment as Cinder prints it: UTC, microseconds, no zone."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value else None


def named(body: Mapping[str, Any], key: str) -> Any:
    """`name` or `description`, by their old names too."""
    return body.get(key, body.get(f"display_{key}"))


def meta(value: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata as it is stored: text."""
    return {key: "" if item is None else str(item) for key, item in (value or {}).items()}


def links(request: Request, noun: str, item_id: str) -> list[dict[str, str]]:
    """The links of a resource."""
    project = request.actor.project_id
    root = f"/{project}" if project else ""
    return [
        {"rel": "self", "href": request.url(f"/v3{root}/{noun}/{item_id}")},
        {"rel": "bookmark", "href": request.url(f"{root}/{noun}/{item_id}")},
    ]


def brief_volume(request: Request, found: Found) -> dict[str, Any]:
    """A volume in a plain list."""
    return {"id": found.id, "name": found.volume.name, "links": links(request, "volumes", found.id)}


def plain_view(request: Request, found: Found) -> dict[str, Any]:
    """A volume as its creation and its change answer it: without the attributes that extensions once added."""
    volume = found.volume
    return {
        **brief_volume(request, found), "description": volume.description, "status": found.status, "size": volume.size_gib,
        "volume_type": found.type_name, "availability_zone": volume.availability_zone, "bootable": str(volume.bootable).lower(),
        "metadata": volume.meta, "snapshot_id": volume.snapshot_id, "source_volid": None, "user_id": volume.user_id,
        "attachments": _attachments(found), "created_at": moment(volume.created_at), "updated_at": moment(volume.updated_at),
        "encrypted": False, "multiattach": False, "replication_status": None, "consistencygroup_id": None, "migration_status": None,
    }  # fmt: skip


def volume_view(request: Request, found: Found) -> dict[str, Any]:
    """A volume in full."""
    volume = found.volume
    view = {**plain_view(request, found), "os-vol-tenant-attr:tenant_id": volume.project_id}
    if volume.image_meta:
        view["volume_image_metadata"] = volume.image_meta
    if request.may("volume:volume:show:host"):
        view |= {
            "os-vol-host-attr:host": "wolke@rbd#volumes",
            "os-vol-mig-status-attr:migstat": None,
            "os-vol-mig-status-attr:name_id": None,
        }
    return view


def _attachments(found: Found) -> list[dict[str, Any]]:
    row = found.attachment
    if row is None or not row.observed_generation:
        return []
    return [
        {
            "id": found.id, "attachment_id": row.id, "volume_id": found.id, "server_id": row.server_id, "device": row.mountpoint,
            "host_name": None, "attached_at": moment(row.attached_at),
        }
    ]  # fmt: skip


def snapshot_view(snapshot: Snapshot, *, full: bool = True) -> dict[str, Any]:
    """A snapshot; `full` with the extended attributes."""
    view = {
        "id": snapshot.id, "name": snapshot.name, "description": snapshot.description, "volume_id": snapshot.volume_id,
        "status": status_of_snapshot(snapshot), "size": snapshot.size_gib, "created_at": moment(snapshot.created_at),
        "updated_at": moment(snapshot.updated_at), "metadata": snapshot.meta,
    }  # fmt: skip
    if full:
        view["os-extended-snapshot-attributes:project_id"] = snapshot.project_id
        view["os-extended-snapshot-attributes:progress"] = "100%" if snapshot.observed_generation and not snapshot.fault else "0%"
    return view


def type_view(request: Request, row: VolumeType) -> dict[str, Any]:
    """A volume type."""
    view: dict[str, Any] = {
        "id": row.id, "name": row.name, "description": row.description, "is_public": row.is_public,
        "os-volume-type-access:is_public": row.is_public, "qos_specs_id": None,
    }  # fmt: skip
    if request.may("volume:type:extra_specs"):
        view["extra_specs"] = row.extra_specs
    return view
