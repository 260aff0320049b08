"""`/v3/projects/{id}/tags`."""

from __future__ import annotations

from typing import Any

from common.api.operation import Answer, operation
from common.api.request import Request
from common.api.shapes import Checker
from common.auth import Actor
from identity.api import views
from identity.api.shapes import project as shapes
from identity.models import Project
from identity.service import tag
from identity.service.rows import find

Body = dict[str, Any]
TAGS = "/v3/projects/{project_id}/tags"
ONE = f"{TAGS}/{{tag}}"
NAME = Checker(shapes.TAG)


def _reader(request: Request, action: str) -> Actor | None:
    """Who is asked for visibility; nobody for the project of one's own scope, which needs no role."""
    if request.path["project_id"] == request.actor.project_id:
        return None
    request.must(action)
    return request.actor


def _view(request: Request, names: list[str]) -> Body:
    return {"tags": names, "links": {"self": views.self_link(request)}}


@operation("GET", TAGS, action=None, guarded=("identity:list_project_tags",), answer=shapes.SHOWN_TAGS)
def list_tags(request: Request) -> Body:
    """List the tags of a project."""
    project_id, actor = request.path["project_id"], _reader(request, "identity:list_project_tags")
    return _view(request, request.read(lambda tx: find(tx, Project, project_id, "project", actor).tags))


@operation("PUT", TAGS, action="identity:update_project_tags", body=shapes.REPLACED, answer=shapes.SHOWN_TAGS)
def replace_tags(request: Request) -> Body:
    """Give a project these tags in place of its own."""
    project_id, names = request.path["project_id"], request.body["tags"]
    return _view(request, request.run(lambda tx: tag.replace(tx, request.actor, project_id, names)))


@operation("DELETE", TAGS, action="identity:delete_project_tags", status=204)
def delete_tags(request: Request) -> None:
    """Take all tags of a project away."""
    request.run(lambda tx: tag.replace(tx, request.actor, request.path["project_id"], ()))


@operation("GET", ONE, action=None, status=204, guarded=("identity:get_project_tag",))
def check_tag(request: Request) -> None:
    """Check that a project has a tag."""
    project_id, actor = request.path["project_id"], _reader(request, "identity:get_project_tag")
    request.read(lambda tx: tag.check(tx, actor, project_id, request.path["tag"]))


@operation("PUT", ONE, action="identity:create_project_tag", status=201)
def add_tag(request: Request) -> Answer:
    """Add a tag to a project."""
    name = request.path["tag"]
    NAME(name, what="tag")
    request.run(lambda tx: tag.add(tx, request.actor, request.path["project_id"], name))
    return Answer(headers={"Location": views.self_link(request)})


@operation("DELETE", ONE, action="identity:delete_project_tag", status=204)
def delete_tag(request: Request) -> None:
    """Take a tag of a project away."""
    request.run(lambda tx: tag.remove(tx, request.actor, request.path["project_id"], request.path["tag"]))
