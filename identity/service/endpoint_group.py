"""Endpoint groups: the endpoints that their filters let through, for the projects that they are given to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from common.db import Tx
from common.errors import Conflict, NotFound
from identity.models import Endpoint, EndpointGroup, Project, ProjectEndpointGroup
from identity.service.rows import Values, assign, filtered, find, flush, same_id, store

COLUMNS = ("name", "description", "filters")
FILTERS = {"name": EndpointGroup.name}
FILTERED = ("service_id", "region_id", "interface")


def lets_through() -> ColumnElement[bool]:
    """SQL: the group's filters let the endpoint through. Each filter must equal the endpoint's attribute."""
    columns: list[Any] = [getattr(Endpoint, name) for name in FILTERED]
    names: list[Any] = [literal_column(f"'{name}'") for name in FILTERED]
    parts = [part for pair in zip(names, columns, strict=True) for part in pair]
    return func.jsonb_build_object(*parts, type_=JSONB).contains(EndpointGroup.filters)


def create_endpoint_group(tx: Tx, values: Values) -> EndpointGroup:
    """A new group; names may repeat."""
    group = EndpointGroup(extra={})
    assign(group, values, COLUMNS, values)
    store(tx, group, "endpoint group", group.name)
    return group


def list_endpoint_groups(filters: Values) -> Select[Any]:
    """All groups that the filters let through."""
    return filtered(select(EndpointGroup), filters, FILTERS)


def get_endpoint_group(tx: Tx, group_id: str) -> EndpointGroup:
    """The group. Raises NotFound."""
    return find(tx, EndpointGroup, group_id, "endpoint group")


def update_endpoint_group(tx: Tx, group_id: str, values: Values) -> EndpointGroup:
    """Change a group; a name or filters of null stay as they are. Raises NotFound, BadRequest (another id)."""
    same_id(values, group_id, "endpoint_group")
    group = find(tx, EndpointGroup, group_id, "endpoint group", lock=True)
    given = {name: value for name, value in values.items() if value is not None or name == "description"}
    assign(group, given, COLUMNS, values)
    flush(tx, "endpoint group", group.name)
    return group


def delete_endpoint_group(tx: Tx, group_id: str) -> None:
    """Delete a group; its projects lose the endpoints that it gave them. Raises NotFound."""
    tx.delete(find(tx, EndpointGroup, group_id, "endpoint group", lock=True))
    tx.flush()


def endpoints_of(group_id: str) -> Select[Any]:
    """The endpoints that the group's filters let through."""
    return select(Endpoint).where(
        Endpoint.id.in_(select(Endpoint.id).join(EndpointGroup, lets_through()).where(EndpointGroup.id == group_id))
    )


def projects_of(group_id: str) -> Select[Any]:
    """The projects that the group is given to."""
    given = select(ProjectEndpointGroup.project_id).where(ProjectEndpointGroup.endpoint_group_id == group_id)
    return select(Project).where(Project.id.in_(given))


def groups_of(project_id: str) -> Select[Any]:
    """The groups that the project is given."""
    given = select(ProjectEndpointGroup.endpoint_group_id).where(ProjectEndpointGroup.project_id == project_id)
    return select(EndpointGroup).where(EndpointGroup.id.in_(given))


def add_to_project(tx: Tx, group_id: str, project_id: str) -> None:
    """Give a group to a project. Raises NotFound, Conflict (it has it)."""
    _both(tx, group_id, project_id)
    row = {"endpoint_group_id": group_id, "project_id": project_id}
    if not tx.execute(insert(ProjectEndpointGroup).values(row).on_conflict_do_nothing().returning(ProjectEndpointGroup.project_id)).all():
        raise Conflict(f"Project {project_id} has the endpoint group {group_id} already.")


def get_in_project(tx: Tx, group_id: str, project_id: str) -> ProjectEndpointGroup:
    """That the project has the group. Raises NotFound (also of either)."""
    _both(tx, group_id, project_id)
    row = tx.get(ProjectEndpointGroup, {"project_id": project_id, "endpoint_group_id": group_id})
    if row is None:
        raise NotFound(f"Project {project_id} does not have the endpoint group {group_id}.")
    return row


def remove_from_project(tx: Tx, group_id: str, project_id: str) -> None:
    """Take a group from a project. Raises NotFound."""
    tx.delete(get_in_project(tx, group_id, project_id))
    tx.flush()


def _both(tx: Tx, group_id: str, project_id: str) -> None:
    find(tx, Project, project_id, "project")
    find(tx, EndpointGroup, group_id, "endpoint group")
