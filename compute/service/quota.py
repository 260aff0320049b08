"""Quotas of compute: limits are rows of `common.quota` or defaults, what is used is a SUM over servers, never stored."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import OverQuota
from common.models import Quota
from compute.models import Server

SERVICE = "compute"
# Nova's defaults; ram in MiB. -1 is no limit. Those that count nothing here are shown because clients read them.
DEFAULTS = {
    "instances": 10, "cores": 20, "ram": 51200, "key_pairs": 100, "metadata_items": 128, "server_groups": 10, "server_group_members": 10,
    "injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "fixed_ips": -1, "floating_ips": -1,
    "security_groups": -1, "security_group_rules": -1,
}  # fmt: skip
COUNTED = ("instances", "cores", "ram")


@dataclass(frozen=True, slots=True)
class Usage:
    """Servers, vCPUs and MiB of memory."""

    instances: int = 0
    cores: int = 0
    ram: int = 0


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """Every limit of the project."""
    rows = tx.execute(select(Quota.resource, Quota.hard_limit).where(Quota.project_id == project_id, Quota.service == SERVICE))
    return {**DEFAULTS, **{name: value for name, value in rows if name in DEFAULTS}}


def used(tx: Tx, project_id: str) -> Usage:
    """What the project's servers take; one that is being deleted counts until its host has let go of it."""
    row = tx.execute(
        select(func.count(), func.coalesce(func.sum(Server.vcpus), 0), func.coalesce(func.sum(Server.memory_mib), 0)).where(
            Server.project_id == project_id, ~Server.hidden
        )
    ).one()
    return Usage(int(row[0]), int(row[1]), int(row[2]))


def most(tx: Tx, project_id: str, each: Usage, wanted: int) -> int:
    """How many of `wanted` servers, each of this size, the project has room for. The caller holds the project's lock."""
    allowed, taken = limits(tx, project_id), used(tx, project_id)
    for name in COUNTED:
        if allowed[name] >= 0 and getattr(each, name) > 0:
            wanted = min(wanted, (allowed[name] - getattr(taken, name)) // getattr(each, name))
    return max(wanted, 0)


def check(tx: Tx, project_id: str, wanted: Usage) -> None:
    """Raise OverQuota unless the project has room. The caller holds the project's lock."""
    allowed, taken = limits(tx, project_id), used(tx, project_id)
    over = [name for name in COUNTED if 0 <= allowed[name] < getattr(taken, name) + getattr(wanted, name) and getattr(wanted, name) > 0]
    if not over:
        return
    names = ", ".join(over)
    asked = ", ".join(str(getattr(wanted, name)) for name in over)
    has = ", ".join(str(getattr(taken, name)) for name in over)
    most = ", ".join(str(allowed[name]) for name in over)
    raise OverQuota(f"Quota exceeded for {names}: Requested {asked}, but already used {has} of {most} {names}")


def set_limits(tx: Tx, project_id: str, values: dict[str, int]) -> None:
    """Change limits of the project."""
    for name, value in sorted(values.items()):
        row = insert(Quota).values(project_id=project_id, service=SERVICE, resource=name, hard_limit=value)
        tx.execute(row.on_conflict_do_update(index_elements=["project_id", "service", "resource"], set_={"hard_limit": value}))


def reset(tx: Tx, project_id: str) -> None:
    """Return the project to the defaults."""
    tx.execute(delete(Quota).where(Quota.project_id == project_id, Quota.service == SERVICE))
