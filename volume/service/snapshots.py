"""The rules of snapshots."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, select, true

from common import jobs
from common.auth import Actor
from common.db import Tx, lock_projects
from common.errors import BadRequest, NotFound
from volume.flows import snapshot_create, snapshot_delete
from volume.models import Snapshot
from volume.service import quotas, volumes
from volume.service.status import SNAPSHOT_SHOWABLE, status_of_snapshot

DELETABLE = ("available", "error", "error_deleting", "deleting")


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL for: the actor may know of the snapshot."""
    return true() if actor.is_admin else Snapshot.project_id == actor.project_id


def get(tx: Tx, actor: Actor, snapshot_id: str) -> Snapshot:
    """A snapshot that the actor may know of. Raises NotFound."""
    found = tx.execute(select(Snapshot).where(Snapshot.id == snapshot_id, visible_to(actor))).scalar_one_or_none()
    if found is None:
        raise NotFound(f"Snapshot {snapshot_id} could not be found.")
    return found


def get_locked(tx: Tx, actor: Actor, snapshot_id: str) -> Snapshot:
    """The same, locked and read afresh."""
    statement = select(Snapshot).where(Snapshot.id == snapshot_id, visible_to(actor)).with_for_update()
    found = tx.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"Snapshot {snapshot_id} could not be found.")
    return found


def create(
    tx: Tx, actor: Actor, volume_id: str, *, name: str | None, description: str | None, metadata: Mapping[str, str], force: bool
) -> Snapshot:
    """Take a snapshot of a volume; with `force` also while it is in use. Raises NotFound, BadRequest, OverQuota."""
    lock_projects(tx, actor.project)
    found = volumes.get_locked(tx, actor, volume_id)
    allowed = (*volumes.INTACT, "in-use") if force else volumes.INTACT
    if found.status not in allowed:
        raise BadRequest(
            f"Invalid volume: Volume {volume_id} status must be {' or '.join(allowed)}, but current status is: {found.status}."
        )
    size = found.volume.size_gib
    quotas.check(tx, actor.project, snapshots=1, gigabytes=size)
    snapshot = Snapshot(
        volume_id=volume_id, project_id=actor.project, user_id=actor.user_id, name=name, description=description, size_gib=size,
        meta=dict(metadata),
    )  # fmt: skip
    tx.add(snapshot)
    tx.flush()
    jobs.enqueue(tx, snapshot_create.FLOW, snapshot.id, actor=actor.user_id, project_id=snapshot.project_id)
    tx.refresh(snapshot)
    return snapshot


def delete(tx: Tx, actor: Actor, snapshot_id: str, *, force: bool = False) -> None:
    """Have a snapshot removed; volumes made from it live on. Raises NotFound, BadRequest."""
    snapshot = get_locked(tx, actor, snapshot_id)
    status = status_of_snapshot(snapshot)
    if status not in DELETABLE and not force:
        raise BadRequest(f"Invalid snapshot: Snapshot status must be one of available, error, error_deleting; it is {status}.")
    volumes.remove(tx, actor, snapshot, snapshot_delete.FLOW)


def reset_status(tx: Tx, actor: Actor, snapshot_id: str, status: str) -> None:
    """Show `status` on a snapshot; nothing else comes of it. Raises NotFound, BadRequest."""
    if status not in SNAPSHOT_SHOWABLE:
        raise BadRequest(f"Invalid input for field/attribute status. Value: {status}. It must be one of {', '.join(SNAPSHOT_SHOWABLE)}.")
    get_locked(tx, actor, snapshot_id).label = status
