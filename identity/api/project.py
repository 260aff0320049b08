"""`/v3/projects`, the tree that they are, and the projects of a user."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.db import Tx
from common.errors import BadRequest
from identity.api import bodies, limit, views
from identity.api.shapes import project as shapes
from identity.api.shapes.answers import listed, shown
from identity.models import Project, User
from identity.service import cascade, project, tag, tree
from identity.service import limit as limit_service
from identity.service.rows import find

Body = dict[str, Any]
ONE = shown("project", shapes.PROJECT_ROW)
MANY = listed("projects", shapes.PROJECT_ROW)
CASCADE = "/v3/projects/{project_id}/cascade"


@operation("POST", "/v3/projects", action="identity:create_project", status=201, body=bodies.body("project", shapes.PROJECT, "name"), answer=ONE)  # fmt: skip
def create_project(request: Request) -> Body:
    """Create a project."""
    row = request.run(lambda tx: project.create_project(tx, request.actor, request.body["project"]))
    return {"project": views.project(request, row)}


@operation("GET", "/v3/projects", action="identity:list_projects", query=shapes.PROJECTS, answer=MANY)
def list_projects(request: Request) -> Body:
    """List projects; domains with `is_domain`."""
    wanted = views.filters(request, "name", "domain_id", "parent_id", *tag.FILTERS, flags=("enabled", "is_domain"))
    return views.listing(request, "projects", project.list_projects(request.actor, wanted), Project, views.project)


@operation("GET", "/v3/projects/{project_id}", action=None, guarded=("identity:get_project",), query=shapes.TREE, answer=shown("project", shapes.PROJECT_WITH_TREE))  # fmt: skip
def get_project(request: Request) -> Body:
    """Show a project; that of one's own scope needs no role. As lists, of its parents and subtree those on which the actor has a role."""
    project_id, actor = request.path["project_id"], request.actor
    mine = project_id == actor.project_id
    if not mine:
        request.must("identity:get_project")
    forms = {which: _form(request, which) for which in ("parents", "subtree")}

    def look(tx: Tx) -> Body:
        row = find(tx, Project, project_id, "project", None if mine else actor)
        relatives = {which: _relatives(request, tx, row, which, form) for which, form in forms.items() if form is not None}
        return {"project": {**views.project(request, row), **relatives}}

    return request.read(look)


def _form(request: Request, which: str) -> str | None:
    """The form that the query asks for, `list` or `ids`. Raises BadRequest for both."""
    asked = [form for form in ("list", "ids") if request.query.flag(f"{which}_as_{form}")]
    if len(asked) > 1:
        raise BadRequest(f"Cannot use {which}_as_list and {which}_as_ids query params at the same time.")
    return asked[0] if asked else None


def _relatives(request: Request, tx: Tx, row: Project, which: str, form: str) -> Any:
    """The `parents` or the `subtree` of a project; with `include_limits`, those of each that a list shows."""
    if form == "ids":
        return tree.parent_ids(tx, row) if which == "parents" else tree.subtree_ids(tx, row.id)
    find_all = tree.parents if which == "parents" else tree.subtree
    rows = find_all(tx, row.id, request.actor.user_id)
    shown = [views.project(request, one) for one in rows]
    if request.query.flag("include_limits"):
        limits = limit_service.limits_of(tx, [one.id for one in rows])
        shown = [{**one, "limits": [limit.view(request, of) for of in limits[one["id"]]]} for one in shown]
    return [{"project": one} for one in shown]


@operation("PATCH", "/v3/projects/{project_id}", action="identity:update_project", body=bodies.body("project", shapes.PROJECT), answer=ONE)
def update_project(request: Request) -> Body:
    """Change a project."""
    row = request.run(lambda tx: project.update_project(tx, request.actor, request.path["project_id"], request.body["project"]))
    request.service.authenticate.forget()
    return {"project": views.project(request, row)}


@operation("DELETE", "/v3/projects/{project_id}", action="identity:delete_project", status=204)
def delete_project(request: Request) -> None:
    """Delete a project."""
    request.run(lambda tx: project.delete_project(tx, request.actor, request.path["project_id"]))
    request.service.authenticate.forget()


@operation("PATCH", CASCADE, action="identity:update_project", body=shapes.SWITCH, answer=ONE)
def switch_subtree(request: Request) -> Body:
    """Enable or disable a project and all below it."""
    row = request.run(lambda tx: cascade.switch(tx, request.actor, request.path["project_id"], request.body["project"]))
    request.service.authenticate.forget()
    return {"project": views.project(request, row)}


@operation("DELETE", CASCADE, action="identity:delete_project", status=204)
def delete_subtree(request: Request) -> None:
    """Delete a project and all below it, which must be disabled."""
    request.run(lambda tx: cascade.delete_all(tx, request.actor, request.path["project_id"]))
    request.service.authenticate.forget()


@operation("GET", "/v3/users/{user_id}/projects", action=None, guarded=("identity:list_user_projects",), query=shapes.PROJECTS, answer=MANY)
def list_user_projects(request: Request) -> Body:
    """List the projects on which a user has a role."""
    user_id, actor = request.path["user_id"], request.actor
    if user_id != actor.user_id:
        request.must("identity:list_user_projects")
        request.read(lambda tx: find(tx, User, user_id, "user", actor))
    wanted = views.filters(request, "name", "domain_id", "parent_id", *tag.FILTERS, flags=("enabled",))
    return views.listing(request, "projects", project.projects_of(actor, user_id, wanted), Project, views.project)
