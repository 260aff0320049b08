"""A project with all that is below it: switched or deleted at once."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import Project, User
from identity.service import tree
from identity.service.project import above, delete_domain, held
from identity.service.rows import Values, find, must_be_mutable


def switch(tx: Tx, actor: Actor, project_id: str, values: Values) -> Project:
    """Enable or disable the project and all below it. Raises Forbidden (a disabled parent, one that is immutable), BadRequest."""
    project, rows = _whole(tx, actor, project_id)
    _must_be_no_more(project, values)
    enabled = values["enabled"]
    if enabled and not all(parent.enabled for parent in above(tx, project)):
        raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents.")
    for row in rows:
        _switch(row, enabled=enabled)
    if project.is_domain and not enabled:
        tx.execute(update(User).where(User.domain_id == project.id).values(epoch=User.epoch + 1))
    tx.flush()
    return project


def _must_be_no_more(project: Project, values: Values) -> None:
    """Nothing but `enabled` is changed of a whole tree."""
    for name in values:
        if name != "enabled" and values[name] != getattr(project, name, None):
            raise BadRequest(f"Cascade update is only allowed for enabled attribute, not for {name}.")


def _switch(row: Project, *, enabled: bool) -> None:
    """What is switched off loses its tokens for good."""
    if row.enabled == enabled:
        return
    must_be_mutable(row, "project")
    row.enabled = enabled
    row.epoch += not enabled


def delete_all(tx: Tx, actor: Actor, project_id: str) -> None:
    """Delete the project and all below it, which must be disabled."""
    project, rows = _whole(tx, actor, project_id)
    if any(row.enabled for row in rows if row is not project):
        raise Forbidden(f"Cannot delete project {project_id} since its subtree contains enabled projects.")
    for row in rows:
        must_be_mutable(row, "project")
    if project.is_domain:
        return delete_domain(tx, project_id)
    ids = [row.id for row in rows]
    tx.execute(update(User).where(User.default_project_id.in_(ids)).values(default_project_id=None))
    tx.execute(delete(Project).where(Project.id.in_(ids)), execution_options={"synchronize_session": False})
    return None


def _whole(tx: Tx, actor: Actor, project_id: str) -> tuple[Project, list[Project]]:
    """The project, and itself with all below; held against whoever would change them or put another below."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    ids = tx.scalars(select(tree.below(select(Project.id).where(Project.id == project_id)).c.id))
    return project, held(tx, [project_id, *ids], change=True)
