"""Which endpoints a project is given, one by one or by a group; a project that is given none has them all."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import Conflict, NotFound
from identity.models import Endpoint, EndpointGroup, Project, ProjectEndpoint, ProjectEndpointGroup
from identity.service.endpoint_group import lets_through
from identity.service.rows import find


def endpoints_of(project_id: str) -> Select[Any]:
    """The endpoints that the project is given."""
    one_by_one = select(ProjectEndpoint.endpoint_id).where(ProjectEndpoint.project_id == project_id)
    by_group = select(Endpoint.id).join(EndpointGroup, lets_through())
    by_group = by_group.join(ProjectEndpointGroup, ProjectEndpointGroup.endpoint_group_id == EndpointGroup.id)
    by_group = by_group.where(ProjectEndpointGroup.project_id == project_id)
    return select(Endpoint).where(or_(Endpoint.id.in_(one_by_one), Endpoint.id.in_(by_group)))


def projects_of(endpoint_id: str) -> Select[Any]:
    """The projects that are given this very endpoint; not those that have it by a group."""
    given = select(ProjectEndpoint.project_id).where(ProjectEndpoint.endpoint_id == endpoint_id)
    return select(Project).where(Project.id.in_(given))


def get_project(tx: Tx, project_id: str) -> Project:
    """The project. Raises NotFound."""
    return find(tx, Project, project_id, "project")


def add(tx: Tx, project_id: str, endpoint_id: str) -> None:
    """Give an endpoint to a project. Raises NotFound, Conflict (it has it)."""
    _both(tx, project_id, endpoint_id)
    row = {"project_id": project_id, "endpoint_id": endpoint_id}
    if not tx.execute(insert(ProjectEndpoint).values(row).on_conflict_do_nothing().returning(ProjectEndpoint.project_id)).all():
        raise Conflict(f"Project {project_id} has the endpoint {endpoint_id} already.")


def check(tx: Tx, project_id: str, endpoint_id: str) -> None:
    """That the project is given the endpoint. Raises NotFound (also of either)."""
    _both(tx, project_id, endpoint_id)
    if tx.get(ProjectEndpoint, {"project_id": project_id, "endpoint_id": endpoint_id}) is None:
        raise _without(project_id, endpoint_id)


def remove(tx: Tx, project_id: str, endpoint_id: str) -> None:
    """Take an endpoint from a project. Raises NotFound."""
    where = (ProjectEndpoint.project_id == project_id, ProjectEndpoint.endpoint_id == endpoint_id)
    if not tx.execute(delete(ProjectEndpoint).where(*where).returning(ProjectEndpoint.project_id)).all():
        raise _without(project_id, endpoint_id)


def _without(project_id: str, endpoint_id: str) -> NotFound:
    return NotFound(f"Endpoint {endpoint_id} not found in project {project_id}.")


def _both(tx: Tx, project_id: str, endpoint_id: str) -> None:
    find(tx, Endpoint, endpoint_id, "endpoint")
    find(tx, Project, project_id, "project")
