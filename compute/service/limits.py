"""Limits of disks: a flavor's extra specs (`quota:disk_*`), changed for one disk of one server by an operator, and what QEMU was seen to have.

bytes/s and operations/s; 0 is no limit. Names: libvirt's <iotune>.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, NotFound
from compute.models import Server, ServerDisk
from compute.service import actions, power, servers
from volume import public as volume_public

ROOT = "root"
NAMES = ("total_bytes_sec", "read_bytes_sec", "write_bytes_sec", "total_iops_sec", "read_iops_sec", "write_iops_sec")
MOST = 10**13


@dataclass(frozen=True)
class DiskView:
    """One disk: `desired` and `observed` limits; observed None while no report has named it."""

    id: str
    device: str
    volume_id: str | None
    desired: dict[str, int]
    observed: dict[str, int] | None


def of_flavor(specs: Mapping[str, str]) -> dict[str, int]:
    """The limits that extra specs ask for; a value that is no number counts as none."""
    return {name: _number(specs.get(f"quota:disk_{name}", "0")) for name in NAMES}


def _number(text: str) -> int:
    return min(int(text), MOST) if text.isascii() and text.isdigit() else 0


def effective(server: Server, override: Mapping[str, Any] | None) -> dict[str, int]:
    """What holds for a disk: the flavor's limits, changed by the operator's."""
    return {**of_flavor(server.flavor.get("extra_specs", {})), **(override or {})}


def check(limits: Mapping[str, int]) -> None:
    """Raise BadRequest where a total stands beside its read or write: QEMU takes one or the other."""
    for unit in ("bytes", "iops"):
        parts = [name for name in (f"read_{unit}_sec", f"write_{unit}_sec") if limits.get(name)]
        if limits.get(f"total_{unit}_sec") and parts:
            raise BadRequest(f"total_{unit}_sec cannot be combined with {' or '.join(parts)}; set the one or the other to 0.")


def change(tx: Tx, actor: Actor, server_id: str, disk: str, wanted: Mapping[str, int | None]) -> None:
    """Change the limits of one disk (`vda`, or a volume's id) of a server; None returns a limit to the flavor's. The host sets them live.

    Raises NotFound, BadRequest.
    """
    server = servers.get(tx, actor, server_id, lock=True)
    power.in_state(tx, server, "set disk limits", ("active", "paused", "stopped", "building", "error"))
    disk_id = _find(tx, server, disk)
    row = tx.execute(select(ServerDisk).where(ServerDisk.server_id == server_id, ServerDisk.disk_id == disk_id)).scalar()
    merged = {**((row.limits if row else None) or {}), **wanted}
    override = {name: value for name, value in merged.items() if value is not None}
    check(effective(server, override))
    statement = insert(ServerDisk).values(server_id=server_id, disk_id=disk_id, limits=override or None)
    tx.execute(statement.on_conflict_do_update(index_elements=["server_id", "disk_id"], set_={"limits": override or None}))
    server.touch()
    actions.record(tx, actor, server_id, "set_disk_limits", finished=True)
    power.wake_host(tx, server_id)


def _find(tx: Tx, server: Server, disk: str) -> str:
    """The disk's id in the host's document."""
    name = disk.removeprefix("/dev/")
    if server.image_id is not None and name in ("vda", ROOT):
        return ROOT
    for item in volume_public.attachments_of(tx, [server.id]).get(server.id, ()):
        if disk == item.volume_id or name == item.device:
            return item.id
    raise NotFound(f"Server {server.id} has no disk {disk}.")


def of_server(tx: Tx, actor: Actor, server_id: str) -> list[DiskView]:
    """Every disk of a server with its limits. Raises NotFound."""
    server = servers.get(tx, actor, server_id)
    rows = {row.disk_id: row for row in tx.execute(select(ServerDisk).where(ServerDisk.server_id == server_id)).scalars()}
    disks: list[tuple[str, str, str | None]] = [(ROOT, "vda", None)] if server.image_id is not None else []
    disks += [(item.id, item.device, item.volume_id) for item in volume_public.attachments_of(tx, [server_id]).get(server_id, ())]
    return [_view(server, rows.get(disk_id), disk_id, device, volume_id) for disk_id, device, volume_id in disks]


def _view(server: Server, row: ServerDisk | None, disk_id: str, device: str, volume_id: str | None) -> DiskView:
    desired = effective(server, row.limits if row else None)
    return DiskView(disk_id, (row.device if row else None) or device, volume_id, desired, row.observed if row else None)
