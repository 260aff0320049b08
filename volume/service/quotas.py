"""Quotas of volumes: limits are rows or defaults, what is used is a SUM under the project's lock, never stored."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import OverQuota
from common.models import Quota
from volume.models import Snapshot, Volume

SERVICE = "volume"
# Cinder's defaults; gigabytes are GiB. -1 is no limit. Backups and groups are counted by clients, and are none here.
DEFAULTS = {
    "volumes": 10, "snapshots": 10, "gigabytes": 1000, "per_volume_gigabytes": -1, "backups": 10, "backup_gigabytes": 1000, "groups": 10,
}  # fmt: skip


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """Every limit of the project."""
    rows = tx.execute(select(Quota.resource, Quota.hard_limit).where(Quota.project_id == project_id, Quota.service == SERVICE))
    return {**DEFAULTS, **{name: value for name, value in rows if name in DEFAULTS}}


def used(tx: Tx, project_id: str) -> dict[str, int]:
    """What the project has; what is being deleted counts until it is gone."""
    volumes = select(func.count(), func.coalesce(func.sum(Volume.size_gib), 0)).where(Volume.project_id == project_id)
    snapshots = select(func.count(), func.coalesce(func.sum(Snapshot.size_gib), 0)).where(Snapshot.project_id == project_id)
    (count, size), (snapshot_count, snapshot_size) = tx.execute(volumes).one(), tx.execute(snapshots).one()
    found = dict.fromkeys(DEFAULTS, 0)
    return {**found, "volumes": int(count), "snapshots": int(snapshot_count), "gigabytes": int(size) + int(snapshot_size)}


def check(tx: Tx, project_id: str, *, volumes: int = 0, snapshots: int = 0, gigabytes: int = 0, volume_size: int = 0) -> None:
    """Raise OverQuota unless the project has room for this many more. The caller holds the project's lock.

    `volume_size` is the size of one volume, in GiB, where one is made or grown.
    """
    allowed, has = limits(tx, project_id), used(tx, project_id)
    per_volume = allowed["per_volume_gigabytes"]
    if 0 <= per_volume < volume_size:
        raise OverQuota(f"VolumeSizeExceedsLimit: Requested volume size {volume_size}G is larger than maximum allowed limit {per_volume}G.")
    for name, kind, wanted in (("volumes", "Volume", volumes), ("snapshots", "Snapshot", snapshots)):
        if wanted and 0 <= allowed[name] < has[name] + wanted:
            raise OverQuota(f"{kind}LimitExceeded: Maximum number of {name} allowed ({allowed[name]}) exceeded for quota '{name}'.")
    if gigabytes and 0 <= allowed["gigabytes"] < has["gigabytes"] + gigabytes:
        raise OverQuota(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. "
            f"Requested {gigabytes}G, quota is {allowed['gigabytes']}G and {has['gigabytes']}G has been consumed."
        )


def set_limits(tx: Tx, project_id: str, values: Mapping[str, int]) -> None:
    """Change limits of the project."""
    for name, value in sorted(values.items()):
        row = insert(Quota).values(project_id=project_id, service=SERVICE, resource=name, hard_limit=value)
        tx.execute(row.on_conflict_do_update(index_elements=["project_id", "service", "resource"], set_={"hard_limit": value}))


def reset(tx: Tx, project_id: str) -> None:
    """Return the project to the defaults."""
    tx.execute(delete(Quota).where(Quota.project_id == project_id, Quota.service == SERVICE))
