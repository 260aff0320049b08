"""Projects and domains: one tree a domain, at most five projects deep."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select, update

from common.auth import Actor
from common.config import CONF
from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import DEFAULT_DOMAIN, Group, Project, Role, User
from identity.service import access_rule, tag, tree
from identity.service.rows import (
    DENIED,
    Values,
    assign,
    described,
    filtered,
    find,
    flush,
    missing,
    must_be_mutable,
    own_domain,
    same_id,
    store,
)

COLUMNS = ("name", "description", "enabled")
KNOWN = (*COLUMNS, "id", "explicit_domain_id", "domain_id", "parent_id", "is_domain", "options", "links", "tags")
FILTERS = {name: getattr(Project, name) for name in ("name", "domain_id", "parent_id", "enabled", "is_domain")}
MAX_DEPTH = 5
# The model of limits that knows a domain and its projects only lets none lie below them.
DEPTH_OF_LIMITS = {"strict_two_level": 1}


def create_domain(tx: Tx, values: Values, *, domain_id: str | None = None) -> Project:
    """A new domain. Raises Conflict where the name is taken."""
    domain = Project(is_domain=True, extra={}, options={}, description="", epoch=1, enabled=True)
    if domain_id is not None:
        domain.id = domain_id
    assign(domain, described(values), COLUMNS, KNOWN)
    store(tx, domain, "domain", domain.name)
    tag.write(tx, domain, values.get("tags") or ())
    return domain


def create_project(tx: Tx, actor: Actor, values: Values) -> Project:
    """A new project under `parent_id`, or at the top of its domain, which is the actor's where the body names none.

    Raises BadRequest (no such parent or domain, or not one tree; a disabled branch), Forbidden (too deep, another's domain), Conflict (name).
    """
    if values.get("is_domain"):
        if own_domain(actor) is not None:
            raise Forbidden(DENIED)
        if values.get("domain_id") or values.get("parent_id"):
            raise BadRequest("A project that acts as a domain has neither domain_id nor parent_id.")
        return create_domain(tx, values)
    parent = _parent(tx, actor, values)
    _must_take_one_more(tx, parent)
    project = Project(is_domain=False, extra={}, options={}, description="", epoch=1, enabled=True)
    project.parent_id, project.domain_id = parent.id, parent.domain_id or parent.id
    assign(project, described(values), COLUMNS, KNOWN)
    store(tx, project, "project", project.name)
    tag.write(tx, project, values.get("tags") or ())
    return project


def _parent(tx: Tx, actor: Actor, values: Values) -> Project:
    field = "parent_id" if values.get("parent_id") else "domain_id"
    named = values.get(field) or home_domain(actor)
    parent, asked = tx.get(Project, named), values.get("domain_id")
    _must_be_own(actor, domain_of(parent), asked)
    if parent is None or (field == "domain_id" and not parent.is_domain):
        raise BadRequest(f"Invalid input for field/attribute {field}. Value: {named}. There is no such project or domain.")
    if asked and asked != domain_of(parent):
        raise BadRequest(f"domain_id {asked} is not the domain of the parent project {parent.id}.")
    return parent


def _must_be_own(actor: Actor, domain: str | None, asked: str | None) -> None:
    """Raise Forbidden for whoever sees one domain only, unless it is the parent's and, where the body names one, that."""
    own = own_domain(actor)
    if own is not None and not own == domain == (asked or own):
        raise Forbidden(DENIED)


def domain_of(project: Project | None) -> str | None:
    """The id of a project's domain, or of the domain itself; None for none."""
    return None if project is None else project.domain_id or project.id


def _must_take_one_more(tx: Tx, parent: Project) -> None:
    """The parent and all above it are there and enabled, and few enough; they stay so to the end of the transaction."""
    branch = [*held(tx, [parent.id]), *above(tx, parent)]
    if parent not in branch:
        raise missing("project", parent.id)
    if disabled := next((project.id for project in branch if not project.enabled), None):
        raise BadRequest(f"cannot create a project in a branch containing a disabled project: {disabled}")
    deepest = DEPTH_OF_LIMITS.get(CONF.identity.limit_model, MAX_DEPTH)
    if len(branch) > deepest:
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch: {deepest} projects below the domain.")


def home_domain(actor: Actor) -> str:
    """The domain of what an actor makes without naming one."""
    return actor.domain_id or actor.project_domain_id or DEFAULT_DOMAIN


def domain_for(tx: Tx, actor: Actor, domain_id: str | None) -> str:
    """The domain of what an actor makes: the one that the body names, or his own. Raises NotFound; Forbidden for one that he does not see."""
    wanted = domain_id or home_domain(actor)
    if own_domain(actor) not in (None, wanted):
        raise Forbidden(DENIED)
    return get_domain(tx, wanted).id


def above(tx: Tx, project: Project) -> list[Project]:
    """The project's parent, its parent, and so on to the domain; held as they are to the end of the transaction."""
    return held(tx, list(tx.scalars(select(tree.above(project.id).c.id))))


def held(tx: Tx, ids: list[str], *, change: bool = False) -> list[Project]:
    """Those that are still there, as they are now: who would switch or delete one waits for this transaction, or is waited for."""
    statement = select(Project).where(Project.id.in_(ids)).order_by(Project.id).with_for_update(read=not change)
    return list(tx.scalars(statement, execution_options={"populate_existing": True}))


def get_domain(tx: Tx, domain_id: str, *, lock: bool = False) -> Project:
    """The domain. Raises NotFound."""
    domain = tx.get(Project, domain_id, with_for_update=lock or None, populate_existing=lock)
    if domain is None or not domain.is_domain:
        raise missing("domain", domain_id)
    return domain


def list_domains(actor: Actor, filters: Values) -> Select[Any]:
    """The domains that the actor sees."""
    statement = tag.tagged(filtered(select(Project).where(Project.is_domain), filters, FILTERS), filters)
    domain = own_domain(actor)
    return statement if domain is None else statement.where(Project.id == domain)


def list_projects(actor: Actor, filters: Values) -> Select[Any]:
    """The projects that the actor sees; domains only where the filter `is_domain` asks for them."""
    statement = tag.tagged(filtered(select(Project), {"is_domain": False, **filters}, FILTERS), filters)
    domain = own_domain(actor)
    return statement if domain is None else statement.where(Project.domain_id == domain)


def projects_of(actor: Actor, user_id: str, filters: Values) -> Select[Any]:
    """The projects on which the user has a role, himself or through a group, given there or inherited; of another, those that the actor sees."""
    statement = tag.tagged(filtered(select(Project).where(Project.id.in_(tree.granted(user_id, "project"))), filters, FILTERS), filters)
    domain = None if user_id == actor.user_id else own_domain(actor)
    return statement if domain is None else statement.where(Project.domain_id == domain)


def scopes_of(user_id: str, kind: str) -> Select[Any]:
    """The enabled projects, or domains, that the user can have a token for."""
    domain = select(Project.id).where(Project.is_domain, Project.enabled)
    statement = select(Project).where(Project.enabled, Project.id.in_(tree.granted(user_id, kind)))
    return statement.where(Project.domain_id.in_(domain)) if kind == "project" else statement


def update_domain(tx: Tx, domain_id: str, values: Values) -> Project:
    """Change a domain; to disable it ends the tokens of its users and projects."""
    domain = get_domain(tx, domain_id, lock=True)
    same_id(values, domain_id, "domain")
    must_be_mutable(domain, "domain", values)
    was_enabled = domain.enabled
    assign(domain, described(values), COLUMNS, KNOWN)
    if was_enabled and not domain.enabled:
        domain.epoch += 1
        tx.execute(update(User).where(User.domain_id == domain_id).values(epoch=User.epoch + 1))
        tx.execute(update(Project).where(Project.domain_id == domain_id).values(epoch=Project.epoch + 1))
    flush(tx, "domain", domain.name)
    if "tags" in values:
        tag.write(tx, domain, values["tags"])
    return domain


def update_project(tx: Tx, actor: Actor, project_id: str, values: Values) -> Project:
    """Change a project. Raises Forbidden where that would leave an enabled project below a disabled one, or move it; BadRequest."""
    project = find(tx, Project, project_id, "project", actor, lock=True)
    same_id(values, project_id, "project")
    _must_stay(project, values)
    if project.is_domain:
        return update_domain(tx, project_id, values)
    must_be_mutable(project, "project", values)
    was_enabled = project.enabled
    assign(project, described(values), COLUMNS, KNOWN)
    if project.enabled != was_enabled:
        _switched(tx, project)
    flush(tx, "project", project.name)
    if "tags" in values:
        tag.write(tx, project, values["tags"])
    return project


def _must_stay(project: Project, values: Values) -> None:
    """A project keeps its place in the tree."""
    if "parent_id" in values and values["parent_id"] != project.parent_id:
        raise Forbidden("Update of `parent_id` is not allowed.")
    for name in ("domain_id", "is_domain"):
        if name in values and values[name] != getattr(project, name):
            raise BadRequest(f"Update of `{name}` is not allowed.")


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
    """Delete a disabled domain with its users, groups, projects and roles; nobody has one of its projects as the default any more."""
    domain = get_domain(tx, domain_id, lock=True)
    must_be_mutable(domain, "domain")
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    if domain_id == DEFAULT_DOMAIN:
        raise Forbidden("Cannot delete the default domain.")
    access_rule.release(tx, User.domain_id == domain_id)
    for model in (User, Group, Role):
        tx.execute(delete(model).where(model.domain_id == domain_id))
    gone = select(Project.id).where(Project.domain_id == domain_id)
    tx.execute(update(User).where(User.default_project_id.in_(gone)).values(default_project_id=None))
    tx.execute(delete(Project).where(Project.domain_id == domain_id))
    tx.delete(domain)
    flush(tx, "domain", domain.name)
