"""/os-quota-sets, /limits, /os-availability-zone and /extensions."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import integer, obj, wrapped
from volume.service import quotas
from volume.service.volumes import ZONE

PATH = "/os-quota-sets/{target_id}"
BODY = wrapped("quota_set", obj({**dict.fromkeys(quotas.DEFAULTS, integer(-1)), "tenant_id": {}, "project_id": {}, "id": {}, "force": {}}))
LIMITS = {
    "maxTotalVolumes": "volumes", "maxTotalSnapshots": "snapshots", "maxTotalVolumeGigabytes": "gigabytes", "maxTotalBackups": "backups",
    "maxTotalBackupGigabytes": "backup_gigabytes",
}  # fmt: skip
USED = {
    "totalVolumesUsed": "volumes", "totalSnapshotsUsed": "snapshots", "totalGigabytesUsed": "gigabytes", "totalBackupsUsed": "backups",
    "totalBackupGigabytesUsed": "backup_gigabytes",
}  # fmt: skip


def _visible(request: Request) -> str:
    target: str = request.path["target_id"]
    if target != request.actor.project_id:
        request.must("volume:quota:show:other")
    return target


@operation("GET", PATH, action="volume:quota:show", guarded=("volume:quota:show:other",))
def show(request: Request) -> dict[str, Any]:
    """A project's limits; with `usage` also what it has."""
    target = _visible(request)
    allowed = request.read(lambda tx: quotas.limits(tx, target))
    if not request.query.flag("usage", False):
        return {"quota_set": {"id": target, **allowed}}
    has = request.read(lambda tx: quotas.used(tx, target))
    return {"quota_set": {"id": target, **{name: {"limit": allowed[name], "in_use": has[name], "reserved": 0} for name in allowed}}}


@operation("GET", PATH + "/defaults", action="volume:quota:show", guarded=("volume:quota:show:other",))
def defaults(request: Request) -> dict[str, Any]:
    """The limits of a project that has none of its own."""
    return {"quota_set": {"id": _visible(request), **quotas.DEFAULTS}}


@operation("PUT", PATH, action="volume:quota:update", body=BODY)
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


@operation("GET", "/limits", action="volume:limits:show")
def limits(request: Request) -> dict[str, Any]:
    """The project's limits and what it has."""
    project_id = request.actor.project
    allowed, has = request.read(lambda tx: (quotas.limits(tx, project_id), quotas.used(tx, project_id)))
    absolute = {**{shown: allowed[name] for shown, name in LIMITS.items()}, **{shown: has[name] for shown, name in USED.items()}}
    return {"limits": {"rate": [], "absolute": absolute}}


@operation("GET", "/os-availability-zone", action="volume:zone:list")
def zones(_request: Request) -> dict[str, Any]:
    """The one zone."""
    return {"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}}]}


@operation("GET", "/extensions", action="volume:extension:list")
def extensions(_request: Request) -> dict[str, Any]:
    """None: what is here is the API itself."""
    return {"extensions": []}
