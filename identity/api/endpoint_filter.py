"""`/v3/OS-EP-FILTER/projects` and `/endpoints`: which endpoints, and endpoint groups, a project is given."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.api.endpoint_group import view
from identity.api.shapes.answers import PAGING, listed
from identity.api.shapes.catalog import ENDPOINT, ENDPOINT_GROUP, PROJECT
from identity.models import Endpoint, EndpointGroup, Project
from identity.service import catalog, endpoint, endpoint_filter, endpoint_group

Body = dict[str, Any]
OF_PROJECT = "/v3/OS-EP-FILTER/projects/{project_id}"
PATH = f"{OF_PROJECT}/endpoints/{{endpoint_id}}"


@operation("PUT", PATH, action="identity:add_endpoint_to_project", status=204)
def add_endpoint_to_project(request: Request) -> None:
    """Give an endpoint to a project."""
    request.run(lambda tx: endpoint_filter.add(tx, request.path["project_id"], request.path["endpoint_id"]))
    catalog.forget(request.service.db)


@operation("GET", PATH, action="identity:check_endpoint_in_project", status=204)
def check_endpoint_in_project(request: Request) -> None:
    """Check that a project is given an endpoint."""
    request.read(lambda tx: endpoint_filter.check(tx, request.path["project_id"], request.path["endpoint_id"]))


@operation("DELETE", PATH, action="identity:remove_endpoint_from_project", status=204)
def remove_endpoint_from_project(request: Request) -> None:
    """Take an endpoint from a project."""
    request.run(lambda tx: endpoint_filter.remove(tx, request.path["project_id"], request.path["endpoint_id"]))
    catalog.forget(request.service.db)


@operation("GET", f"{OF_PROJECT}/endpoints", action="identity:list_endpoints_for_project", query=PAGING, answer=listed("endpoints", ENDPOINT))  # fmt: skip
def list_endpoints_for_project(request: Request) -> Body:
    """List the endpoints that a project is given, one by one or by a group."""
    project_id = request.path["project_id"]
    request.read(lambda tx: endpoint_filter.get_project(tx, project_id))
    return views.listing(request, "endpoints", endpoint_filter.endpoints_of(project_id), Endpoint, views.endpoint)


@operation("GET", f"{OF_PROJECT}/endpoint_groups", action="identity:list_endpoint_groups_for_project", query=PAGING, answer=listed("endpoint_groups", ENDPOINT_GROUP))  # fmt: skip
def list_endpoint_groups_for_project(request: Request) -> Body:
    """List the endpoint groups that a project is given."""
    project_id = request.path["project_id"]
    request.read(lambda tx: endpoint_filter.get_project(tx, project_id))
    return views.listing(request, "endpoint_groups", endpoint_group.groups_of(project_id), EndpointGroup, view)


@operation("GET", "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", action="identity:list_projects_for_endpoint", query=PAGING, answer=listed("projects", PROJECT))  # fmt: skip
def list_projects_for_endpoint(request: Request) -> Body:
    """List the projects that are given this very endpoint."""
    endpoint_id = request.path["endpoint_id"]
    request.read(lambda tx: endpoint.get_endpoint(tx, endpoint_id))
    return views.listing(request, "projects", endpoint_filter.projects_of(endpoint_id), Project, views.project)
