"""`/v3/projects`, and the projects of a user."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.models import Project, User
from identity.service import project
from identity.service.rows import find

Body = dict[str, Any]


@operation("POST", "/v3/projects", action="identity:create_project", status=201, body=bodies.body("project", bodies.PROJECT, "name"), answer=bodies.one("project"))  # fmt: skip
def create_project(request: Request) -> Body:
    """Create a project."""
    row = request.run(lambda tx: project.create_project(tx, request.actor, request.body["project"]))
    return {"project": views.project(request, row)}


@operation("GET", "/v3/projects", action="identity:list_projects", answer=bodies.many("projects"))
def list_projects(request: Request) -> Body:
    """List projects; domains with `is_domain`."""
    wanted = views.filters(request, "name", "domain_id", "parent_id", flags=("enabled", "is_domain"))
    return views.listing(request, "projects", project.list_projects(request.actor, wanted), Project, views.project)


@operation("GET", "/v3/projects/{project_id}", action=None, guarded=("identity:get_project",), answer=bodies.one("project"))
def get_project(request: Request) -> Body:
    """Show a project; that of one's own scope needs no role."""
    project_id, actor = request.path["project_id"], request.actor
    mine = project_id == actor.project_id
    if not mine:
        request.must("identity:get_project")
    row = request.read(lambda tx: find(tx, Project, project_id, "project", None if mine else actor))
    return {"project": views.project(request, row)}


@operation("PATCH", "/v3/projects/{project_id}", action="identity:update_project", body=bodies.body("project", bodies.PROJECT), answer=bodies.one("project"))  # fmt: skip
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


@operation("GET", "/v3/users/{user_id}/projects", action=None, guarded=("identity:list_user_projects",), answer=bodies.many("projects"))
def list_user_projects(request: Request) -> Body:
    """List the projects on which a user has a role."""
    user_id, actor = request.path["user_id"], request.actor
    if user_id != actor.user_id:
        request.must("identity:list_user_projects")
        request.read(lambda tx: find(tx, User, user_id, "user", actor))
    wanted = views.filters(request, "name", "domain_id", "parent_id", flags=("enabled",))
    return views.listing(request, "projects", project.projects_of(user_id, wanted), Project, views.project)
