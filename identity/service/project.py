"""Projects and domains: one tree a domain, at most five projects deep."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select, update

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import DEFAULT_DOMAIN, Assignment, Group, Project, Role, User
from identity.service.grant import bearer_is
from identity.service.rows import Values, assign, described, filtered, find, flush, missing, must_be_mutable, own_domain, store

COLUMNS = ("name", "description", "enabled")
KNOWN = (*COLUMNS, "id", "domain_id", "parent_id", "is_domain", "options", "links", "tags")
FILTERS = {name: getattr(Project, name) for name in ("name", "domain_id", "parent_id", "enabled", "is_domain")}
MAX_DEPTH = 5


def create_domain(tx: Tx, values: Values, *, domain_id: str | None = None) -> Project:
    """A new domain. Raises Conflict where the name is taken."""
    domain = Project(is_domain=True, extra={}, options={}, description="", epoch=1, enabled=True)
    if domain_id is not None:
        domain.id = domain_id
    assign(domain, described(values), COLUMNS, KNOWN)
    store(tx, domain, "domain", domain.name)
    return domain


def create_project(tx: Tx, actor: Actor, values: Values) -> Project:
    """A new project under `parent_id`, or at the top of its domain, which is the actor's where the body names none.

    Raises NotFound (parent or domain), BadRequest (parent of another domain), Forbidden (too deep, disabled branch), Conflict (name).
    """
    if values.get("is_domain"):
        if values.get("domain_id") or values.get("parent_id"):
            raise BadRequest("A project that acts as a domain has neither domain_id nor parent_id.")
        return create_domain(tx, values)
    parent = _parent(tx, actor, values)
    project = Project(is_domain=False, extra={}, options={}, description="", epoch=1, enabled=True)
    project.parent_id, project.domain_id = parent.id, parent.domain_id or parent.id
    assign(project, described(values), COLUMNS, KNOWN)
    store(tx, project, "project", project.name)
    return project


def _parent(tx: Tx, actor: Actor, values: Values) -> Project:
    domain_id, parent_id = values.get("domain_id"), values.get("parent_id")
    parent = find(tx, Project, parent_id, "project") if parent_id else get_domain(tx, domain_id or home_domain(actor))
    if domain_id not in (None, "", parent.domain_id or parent.id):
        raise BadRequest(f"domain_id {domain_id} is not the domain of the parent project {parent.id}.")
    branch = [*_held(tx, [parent.id]), *above(tx, parent)]
    if parent not in branch:
        raise missing("project", parent.id)
    if not all(project.enabled for project in branch):
        raise Forbidden("Cannot create project in a branch containing a disabled project.")
    if len(branch) > MAX_DEPTH:
        raise Forbidden(f"Max hierarchy depth reached: {MAX_DEPTH} projects below the domain.")
    return parent


def home_domain(actor: Actor) -> str:
    """The domain of what an actor makes without naming one."""
    return actor.domain_id or actor.project_domain_id or DEFAULT_DOMAIN


def above(tx: Tx, project: Project) -> list[Project]:
    """The project's parent, its parent, and so on to the domain; held as they are to the end of the transaction."""
    if project.parent_id is None:
        return []
    start = select(Project.id, Project.parent_id).where(Project.id == project.parent_id).cte("up", recursive=True)
    line = start.union(select(Project.id, Project.parent_id).join(start, Project.id == start.c.parent_id))
    return _held(tx, list(tx.scalars(select(line.c.id))))


def _held(tx: Tx, ids: list[str]) -> list[Project]:
    """Those that are still there, as they are now: who would switch or delete one waits for this transaction, or is waited for."""
    statement = select(Project).where(Project.id.in_(ids)).order_by(Project.id).with_for_update(read=True)
    return list(tx.scalars(statement, execution_options={"populate_existing": True}))


def get_domain(tx: Tx, domain_id: str, *, lock: bool = False) -> Project:
    """The domain. Raises NotFound."""
    domain = tx.get(Project, domain_id, with_for_update=lock or None, populate_existing=lock)
    if domain is None or not domain.is_domain:
        raise missing("domain", domain_id)
    return domain


def list_domains(actor: Actor, filters: Values) -> Select[Any]:
    """The domains that the actor sees."""
    statement = filtered(select(Project).where(Project.is_domain), filters, FILTERS)
    domain = own_domain(actor)
    return statement if domain is None else statement.where(Project.id == domain)


def list_projects(actor: Actor, filters: Values) -> Select[Any]:
    """The projects that the actor sees; domains only where the filter `is_domain` asks for them."""
    statement = filtered(select(Project), {"is_domain": False, **filters}, FILTERS)
    domain = own_domain(actor)
    return statement if domain is None else statement.where(Project.domain_id == domain)


def projects_of(user_id: str, filters: Values) -> Select[Any]:
    """The projects on which the user has a role, himself or through a group."""
    return filtered(select(Project).where(Project.id.in_(_granted(user_id, "project"))), filters, FILTERS)


def scopes_of(user_id: str, kind: str) -> Select[Any]:
    """The enabled projects, or domains, that the user can have a token for."""
    domain = select(Project.id).where(Project.is_domain, Project.enabled)
    statement = select(Project).where(Project.enabled, Project.id.in_(_granted(user_id, kind)))
    return statement.where(Project.domain_id.in_(domain)) if kind == "project" else statement


def _granted(user_id: str, kind: str) -> Select[Any]:
    return select(Assignment.target_id).where(Assignment.target == kind, ~Assignment.inherited, bearer_is(user_id))


def update_domain(tx: Tx, domain_id: str, values: Values) -> Project:
    """Change a domain; to disable it ends the tokens of its users and projects."""
    domain = get_domain(tx, domain_id, lock=True)
    must_be_mutable(domain, "domain", values)
    was_enabled = domain.enabled
    assign(domain, described(values), COLUMNS, KNOWN)
    if was_enabled and not domain.enabled:
        domain.epoch += 1
        tx.execute(update(User).where(User.domain_id == domain_id).values(epoch=User.epoch + 1))
        tx.execute(update(Project).where(Project.domain_id == domain_id).values(epoch=Project.epoch + 1))
    flush(tx, "domain", domain.name)
    return domain


def update_project(tx: Tx, actor: Actor, project_id: str, values: Values) -> Project:
    """Change a project. Raises Forbidden where that would leave an enabled project below a disabled one, or move it."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    if project.is_domain:
        return update_domain(tx, project_id, values)
    for name in ("parent_id", "domain_id", "is_domain"):
        if name in values and values[name] != getattr(project, name):
            raise Forbidden(f"Update of `{name}` is not allowed.")
    must_be_mutable(project, "project", values)
    was_enabled = project.enabled
    assign(project, described(values), COLUMNS, KNOWN)
    if project.enabled != was_enabled:
        _switched(tx, project)
    flush(tx, "project", project.name)
    return project


def _switched(tx: Tx, project: Project) -> None:
    """A project was enabled or disabled: the branch must allow it, and its tokens end."""
    if project.enabled:
        if not all(parent.enabled for parent in above(tx, project)):
            raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents.")
        return
    if tx.scalar(select(Project.id).where(Project.parent_id == project.id, Project.enabled).limit(1)):
        raise Forbidden(f"Cannot disable project {project.id} since its subtree contains enabled projects.")
    project.epoch += 1


def delete_project(tx: Tx, actor: Actor, project_id: str) -> None:
    """Delete a project that has none below it; what is granted on it goes too."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    if project.is_domain:
        return delete_domain(tx, project_id)
    must_be_mutable(project, "project")
    if tx.scalar(select(Project.id).where(Project.parent_id == project_id).limit(1)):
        raise Forbidden(f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy.")
    tx.execute(update(User).where(User.default_project_id == project_id).values(default_project_id=None))
    tx.delete(project)
    flush(tx, "project", project.name)
    return None


def delete_domain(tx: Tx, domain_id: str) -> None:
    """Delete a disabled domain with its users, groups, projects and roles."""
    domain = get_domain(tx, domain_id, lock=True)
    must_be_mutable(domain, "domain")
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    if domain_id == DEFAULT_DOMAIN:
        raise Forbidden("Cannot delete the default domain.")
    for model in (User, Group, Role):
        tx.execute(delete(model).where(model.domain_id == domain_id))
    tx.execute(delete(Project).where(Project.domain_id == domain_id))
    tx.delete(domain)
    flush(tx, "domain", domain.name)
