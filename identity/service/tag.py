"""Tags of projects and domains: at most 80 words of 255 characters each, found by the filters of the lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm.attributes import set_committed_value

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, NotFound
from identity.models import Project, ProjectTag
from identity.service.rows import find

MOST = 80
FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")


def write(tx: Tx, project: Project, names: Iterable[str]) -> None:
    """The project has these tags and no others. The caller holds its row."""
    wanted = sorted(set(names))
    tx.execute(delete(ProjectTag).where(ProjectTag.project_id == project.id, ProjectTag.name.not_in(wanted)))
    if wanted:
        rows = [{"project_id": project.id, "name": name} for name in wanted]
        tx.execute(insert(ProjectTag).values(rows).on_conflict_do_nothing())
    set_committed_value(project, "tags", wanted)


def replace(tx: Tx, actor: Actor, project_id: str, names: Iterable[str]) -> list[str]:
    """Give a project these tags in place of its own. Raises NotFound, Forbidden."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    write(tx, project, names)
    return project.tags


def add(tx: Tx, actor: Actor, project_id: str, name: str) -> None:
    """Add one tag; harmless when repeated. Raises BadRequest where the project has as many as it may."""
    project, names = _held(tx, actor, project_id)
    if name not in names and len(names) >= MOST:
        raise BadRequest(f"Project {project_id} has {MOST} tags, and {name!r} would be one too many.")
    write(tx, project, (*names, name))


def check(tx: Tx, actor: Actor | None, project_id: str, name: str) -> None:
    """Raise NotFound unless the project has the tag."""
    if name not in find(tx, Project, project_id, "project", actor).tags:
        raise _missing(name)


def remove(tx: Tx, actor: Actor, project_id: str, name: str) -> None:
    """Take one tag away. Raises NotFound where the project has it not."""
    project, names = _held(tx, actor, project_id)
    if name not in names:
        raise _missing(name)
    write(tx, project, (other for other in names if other != name))


def _held(tx: Tx, actor: Actor, project_id: str) -> tuple[Project, list[str]]:
    """The project, held, and its tags as they are now: those read with the row may be older than the lock."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    return project, list(tx.scalars(select(ProjectTag.name).where(ProjectTag.project_id == project_id)))


def _missing(name: str) -> NotFound:
    return NotFound(f"Could not find project tag: {name}.")


def tagged(statement: Select[Any], filters: Mapping[str, str]) -> Select[Any]:
    """`statement` where each tag filter holds: all of `tags`, one of `tags-any`, not all of `not-tags`, none of `not-tags-any`."""
    for key in FILTERS:
        if key in filters:
            names = {name for name in filters[key].split(",") if name}
            found = _has_any(names) if key.endswith("any") else _has_all(names)
            statement = statement.where(~found if key.startswith("not") else found)
    return statement


def _has_any(names: set[str]) -> ColumnElement[bool]:
    return Project.id.in_(select(ProjectTag.project_id).where(ProjectTag.name.in_(names)))


def _has_all(names: set[str]) -> ColumnElement[bool]:
    counted = select(ProjectTag.project_id).where(ProjectTag.name.in_(names)).group_by(ProjectTag.project_id)
    return Project.id.in_(counted.having(func.count() == len(names)))
