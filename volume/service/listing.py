"""Lists of volumes, snapshots and types: which the actor sees, and what they are narrowed by and sorted by."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, false, select, true

from common.api.paging import Page
from common.api.request import Query
from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest
from volume.models import Snapshot, Volume, VolumeType
from volume.service import snapshots, types, volumes
from volume.service.status import snapshot_status_sql, volume_status_sql

VOLUME_KEYS: dict[str, Any] = {
    "id": Volume.id, "name": Volume.name, "size": Volume.size_gib, "status": volume_status_sql(), "bootable": Volume.bootable,
    "created_at": Volume.created_at, "updated_at": Volume.updated_at, "availability_zone": Volume.availability_zone,
    "display_name": Volume.name,
}  # fmt: skip
SNAPSHOT_KEYS: dict[str, Any] = {
    "id": Snapshot.id, "name": Snapshot.name, "status": snapshot_status_sql(), "created_at": Snapshot.created_at,
    "updated_at": Snapshot.updated_at, "volume_id": Snapshot.volume_id, "display_name": Snapshot.name, "size": Snapshot.size_gib,
}  # fmt: skip
TYPE_KEYS: dict[str, Any] = {
    "id": VolumeType.id, "name": VolumeType.name, "created_at": VolumeType.created_at, "updated_at": VolumeType.updated_at,
}  # fmt: skip
_VOLUME_EQUAL = {"user_id": Volume.user_id, "snapshot_id": Volume.snapshot_id, **VOLUME_KEYS}
_SNAPSHOT_EQUAL = dict(SNAPSHOT_KEYS)
_NOT_EQUAL = ("created_at", "updated_at", "size", "bootable")


@dataclass(frozen=True)
class Scope:
    """Whose rows a list holds: the project's, or with `all_projects` anybody's."""

    actor: Actor
    all_projects: bool


def volumes_of(tx: Tx, scope: Scope, query: Query, page: Page) -> tuple[list[volumes.Found], bool]:
    """One page of volumes with what is shown beside them, and whether there is more. Raises BadRequest."""
    where = [volumes.visible_to(scope.actor), _owner(scope, query, Volume.project_id), *_equal(query, _VOLUME_EQUAL)]
    bootable, size = query.flag("bootable"), query.integer("size")
    where += [Volume.bootable.is_(bootable)] if bootable is not None else []
    where += [Volume.size_gib == size] if size is not None else []
    where += _metadata(query, Volume.meta)
    rows, more = page.cut(page.rows(tx, _statement(Volume, where, query, page), VOLUME_KEYS, Volume.id))
    return volumes.beside(rows, tx), more


def snapshots_of(tx: Tx, scope: Scope, query: Query, page: Page) -> tuple[list[Snapshot], bool]:
    """One page of snapshots, and whether there is more. Raises BadRequest."""
    where = [snapshots.visible_to(scope.actor), _owner(scope, query, Snapshot.project_id), *_equal(query, _SNAPSHOT_EQUAL)]
    where += _metadata(query, Snapshot.meta)
    return page.cut(page.rows(tx, _statement(Snapshot, where, query, page), SNAPSHOT_KEYS, Snapshot.id))


def types_of(tx: Tx, actor: Actor, query: Query, page: Page) -> tuple[list[VolumeType], bool]:
    """One page of the types that the actor may use, and whether there is more. Raises BadRequest."""
    where = [types.visible_to(actor)]
    public, name = query.one("is_public"), query.one("name")
    if public is not None and public.lower() != "none" and actor.is_admin:
        where.append(VolumeType.is_public.is_(bool(query.flag("is_public"))))
    if name is not None:
        where.append(VolumeType.name == name)
    return page.cut(page.rows(tx, _statement(VolumeType, where, query, page), TYPE_KEYS, VolumeType.id))


def _statement(model: Any, where: list[ColumnElement[bool]], query: Query, page: Page) -> Select[Any]:
    statement = select(model).where(*where, *([false()] if page.limit == 0 else []))
    offset = query.integer("offset")
    return statement.offset(offset) if offset else statement


def _owner(scope: Scope, query: Query, project_id: Any) -> ColumnElement[bool]:
    """Of the token's project; with all projects, of any, or of the one that is asked for."""
    if not scope.all_projects:
        mine: ColumnElement[bool] = project_id == scope.actor.project
        return mine
    asked = query.one("project_id") or query.one("tenant_id")
    return project_id == asked if asked else true()


def _equal(query: Query, columns: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [column == query.one(name) for name, column in columns.items() if name in query and name not in _NOT_EQUAL]


def _metadata(query: Query, column: Any) -> list[ColumnElement[bool]]:
    """`metadata={'key': 'value'}`, as Cinder's clients write it."""
    value = query.one("metadata")
    if value is None:
        return []
    try:
        wanted = ast.literal_eval(value) if len(value) < 10000 else None
        pairs = {str(key): str(item) for key, item in wanted.items()} if isinstance(wanted, dict) else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pairs = None
    if pairs is None:
        raise BadRequest(f"Invalid query parameter metadata: {value!r} is not a dictionary of keys and values.")
    return [column.contains({key: item}) for key, item in pairs.items()]
