"""`/v3/OS-EP-FILTER/endpoint_groups`: groups of endpoints, and the projects that they are given to."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import TEXT, Shape, obj, wrapped
from identity.api import views
from identity.api.shapes.answers import PAGING, changed, listed, shown
from identity.api.shapes.catalog import ENDPOINT, ENDPOINT_GROUP, ENDPOINT_GROUP_CHANGE, ENDPOINT_GROUP_IN, GROUP_OF_PROJECT, PROJECT
from identity.api.shapes.query import queried
from identity.models import Endpoint, EndpointGroup, Project, ProjectEndpointGroup
from identity.service import catalog, endpoint_group

Body = dict[str, Any]
ALL = "/v3/OS-EP-FILTER/endpoint_groups"
PATH = f"{ALL}/{{endpoint_group_id}}"
PROJECT_PATH = f"{PATH}/projects/{{project_id}}"
ONE, MANY = shown("endpoint_group", ENDPOINT_GROUP), listed("endpoint_groups", ENDPOINT_GROUP)
NEW: Shape = wrapped("endpoint_group", obj({"id": TEXT, **ENDPOINT_GROUP_IN}, required=("name", "filters")))


def view(request: Request, row: EndpointGroup) -> Body:
    """An endpoint group."""
    link = request.url(f"{ALL}/{row.id}")
    return {"id": row.id, "name": row.name, "description": row.description, "filters": row.filters, "links": {"self": link}}


def _member(request: Request, row: ProjectEndpointGroup) -> Body:
    link = request.url(f"{ALL}/{row.endpoint_group_id}/projects/{row.project_id}")
    return {"endpoint_group_id": row.endpoint_group_id, "project_id": row.project_id, "links": {"self": link}}


@operation("POST", ALL, action="identity:create_endpoint_group", status=201, body=NEW, answer=ONE)
def create_endpoint_group(request: Request) -> Body:
    """Create an endpoint group."""
    row = request.run(lambda tx: endpoint_group.create_endpoint_group(tx, request.body["endpoint_group"]))
    return {"endpoint_group": view(request, row)}


@operation("GET", ALL, action="identity:list_endpoint_groups", query=queried("name"), answer=MANY)
def list_endpoint_groups(request: Request) -> Body:
    """List endpoint groups."""
    statement = endpoint_group.list_endpoint_groups(views.filters(request, "name"))
    return views.listing(request, "endpoint_groups", statement, EndpointGroup, view)


@operation("GET", PATH, action="identity:get_endpoint_group", answer=ONE)
def get_endpoint_group(request: Request) -> Body:
    """Show an endpoint group."""
    row = request.read(lambda tx: endpoint_group.get_endpoint_group(tx, request.path["endpoint_group_id"]))
    return {"endpoint_group": view(request, row)}


@operation("PATCH", PATH, action="identity:update_endpoint_group", body=changed("endpoint_group", ENDPOINT_GROUP_CHANGE), answer=ONE)
def update_endpoint_group(request: Request) -> Body:
    """Change an endpoint group."""
    group_id, values = request.path["endpoint_group_id"], request.body["endpoint_group"]
    row = request.run(lambda tx: endpoint_group.update_endpoint_group(tx, group_id, values))
    catalog.forget(request.service.db)
    return {"endpoint_group": view(request, row)}


@operation("DELETE", PATH, action="identity:delete_endpoint_group", status=204)
def delete_endpoint_group(request: Request) -> None:
    """Delete an endpoint group."""
    request.run(lambda tx: endpoint_group.delete_endpoint_group(tx, request.path["endpoint_group_id"]))
    catalog.forget(request.service.db)


@operation("GET", f"{PATH}/endpoints", action="identity:list_endpoints_associated_with_endpoint_group", query=PAGING, answer=listed("endpoints", ENDPOINT))  # fmt: skip
def list_endpoints_of_group(request: Request) -> Body:
    """List the endpoints that a group's filters let through."""
    group_id = request.path["endpoint_group_id"]
    request.read(lambda tx: endpoint_group.get_endpoint_group(tx, group_id))
    return views.listing(request, "endpoints", endpoint_group.endpoints_of(group_id), Endpoint, views.endpoint)


@operation("GET", f"{PATH}/projects", action="identity:list_projects_associated_with_endpoint_group", query=PAGING, answer=listed("projects", PROJECT))  # fmt: skip
def list_projects_of_group(request: Request) -> Body:
    """List the projects that a group is given to."""
    group_id = request.path["endpoint_group_id"]
    request.read(lambda tx: endpoint_group.get_endpoint_group(tx, group_id))
    return views.listing(request, "projects", endpoint_group.projects_of(group_id), Project, views.project)


@operation("PUT", PROJECT_PATH, action="identity:add_endpoint_group_to_project", status=204)
def add_endpoint_group_to_project(request: Request) -> None:
    """Give an endpoint group to a project."""
    request.run(lambda tx: endpoint_group.add_to_project(tx, request.path["endpoint_group_id"], request.path["project_id"]))
    catalog.forget(request.service.db)


@operation("GET", PROJECT_PATH, action="identity:get_endpoint_group_in_project", answer=shown("project_endpoint_group", GROUP_OF_PROJECT))
def get_endpoint_group_in_project(request: Request) -> Body:
    """Check that a project is given an endpoint group."""
    row = request.read(lambda tx: endpoint_group.get_in_project(tx, request.path["endpoint_group_id"], request.path["project_id"]))
    return {"project_endpoint_group": _member(request, row)}


@operation("DELETE", PROJECT_PATH, action="identity:remove_endpoint_group_from_project", status=204)
def remove_endpoint_group_from_project(request: Request) -> None:
    """Take an endpoint group from a project."""
    request.run(lambda tx: endpoint_group.remove_from_project(tx, request.path["endpoint_group_id"], request.path["project_id"]))
    catalog.forget(request.service.db)
