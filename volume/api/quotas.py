"""/os-quota-sets, /limits, /os-availability-zone and /extensions."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.errors import NotFound
from volume.api.shapes import quota as shapes
from volume.service import quotas
from volume.service.volumes import ZONE

PATH = "/os-quota-sets/{target_id}"
LIMITS = {
    "maxTotalVolumes": "volumes", "maxTotalSnapshots": "snapshots", "maxTotalVolumeGigabytes": "gigabytes", "maxTotalBackups": "backups",
    "maxTotalBackupGigabytes": "backup_gigabytes",
}  # fmt: skip
USED = {
    "totalVolumesUsed": "volumes", "totalSnapshotsUsed": "snapshots", "totalGigabytesUsed": "gigabytes", "totalBackupsUsed": "backups",
    "totalBackupGigabytesUsed": "backup_gigabytes",
}  # fmt: skip


EXTENSIONS = (
    ("os-availability-zone", "AvailabilityZones", "Describe availability zones."),
    ("os-extended-snapshot-attributes", "ExtendedSnapshotAttributes", "Extended snapshot attributes support."),
    ("os-quota-sets", "Quotas", "Quota management support."),
    ("os-snapshot-actions", "SnapshotActions", "Enable snapshot actions."),
    ("os-types-extra-specs", "TypesExtraSpecs", "Type extra specs support."),
    ("os-types-manage", "TypesManage", "Types manage support."),
    ("os-vol-image-meta", "VolumeImageMetadata", "Show image metadata associated with the volume."),
    ("os-vol-tenant-attr", "VolumeTenantAttribute", "Expose the internal project_id as an attribute of a volume."),
    ("os-volume-actions", "VolumeActions", "Enable volume actions."),
)


def _visible(request: Request) -> str:
    target: str = request.path["target_id"]
    if target != request.actor.project_id:
        request.must("volume:quota:show:other")
    return target


@operation("GET", PATH, action="volume:quota:show", guarded=("volume:quota:show:other",), answer=shapes.QUOTAS_OR_USAGE)
def show(request: Request) -> dict[str, Any]:
    """A project's limits; with `usage` also what it has."""
    target = _visible(request)
    allowed = request.read(lambda tx: quotas.limits(tx, target))
    if not request.query.flag("usage", False):
        return {"quota_set": {"id": target, **allowed}}
    has = request.read(lambda tx: quotas.used(tx, target))
    return {"quota_set": {"id": target, **{name: {"limit": allowed[name], "in_use": has[name], "reserved": 0} for name in allowed}}}


@operation("GET", PATH + "/defaults", action="volume:quota:show", guarded=("volume:quota:show:other",), answer=shapes.QUOTAS)
def defaults(request: Request) -> dict[str, Any]:
    """The limits of a project that has none of its own."""
    return {"quota_set": {"id": _visible(request), **quotas.DEFAULTS}}


@operation("PUT", PATH, action="volume:quota:update", body=shapes.UPDATE, answer=shapes.NEW_QUOTAS)
def update(request: Request) -> dict[str, Any]:
    """Change a project's limits."""
    target = request.path["target_id"]
    values = {name: int(value) for name, value in request.body["quota_set"].items() if name in quotas.DEFAULTS}

    def change(tx: Any) -> dict[str, int]:
        quotas.set_limits(tx, target, values)
        return quotas.limits(tx, target)

    return {"quota_set": request.run(change)}


@operation("DELETE", PATH, action="volume:quota:delete")
def reset(request: Request) -> None:
    """Return a project's limits to the defaults."""
    request.run(lambda tx: quotas.reset(tx, request.path["target_id"]))


@operation("GET", "/limits", action="volume:limits:show", answer=shapes.limits(*LIMITS, *USED))
def limits(request: Request) -> dict[str, Any]:
    """The project's limits and what it has."""
    project_id = request.actor.project
    allowed, has = request.read(lambda tx: (quotas.limits(tx, project_id), quotas.used(tx, project_id)))
    absolute = {**{shown: allowed[name] for shown, name in LIMITS.items()}, **{shown: has[name] for shown, name in USED.items()}}
    return {"limits": {"rate": [], "absolute": absolute}}


@operation("GET", "/os-availability-zone", action="volume:zone:list", answer=shapes.ZONES)
def zones(_request: Request) -> dict[str, Any]:
    """The one zone."""
    return {"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}}]}


@operation("GET", "/extensions", action="volume:extension:list", answer=shapes.EXTENSIONS)
def extensions(_request: Request) -> dict[str, Any]:
    """The names under which clients look for parts of the API."""
    return {"extensions": [_extension(*item) for item in EXTENSIONS]}


@operation("GET", "/extensions/{alias}", action="volume:extension:list", answer=shapes.ONE_EXTENSION)
def extension(request: Request) -> dict[str, Any]:
    """One of them."""
    for item in EXTENSIONS:
        if item[0] == request.path["alias"]:
            return {"extension": _extension(*item)}
    raise NotFound(f"No extension is called {request.path['alias']}.")


def _extension(alias: str, name: str, description: str) -> dict[str, Any]:
    return {"alias": alias, "name": name, "description": description, "links": [], "updated": "2016-02-08T00:00:00+00:00"}
