"""Projects that come to be because a mapping names them, and the roles that its user gets there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import Assignment, Project, Role, new_id
from identity.service.federation.domains import Domains
from identity.service.federation.rules import MappedProject
from identity.service.rows import missing, put

LONGEST_NAME = 64
Place = tuple[str, str]


def provide(tx: Tx, user_id: str, wanted: Sequence[MappedProject], domains: Domains, usual: str) -> None:
    """Make the projects that are missing, and give the user their roles; what he has besides stays. usual: the provider's domain.

    Raises NotFound for a role, Forbidden for a domain's own role elsewhere, BadRequest for a name that no project can have. Queries do not grow
    with the projects.
    """
    if not wanted:
        return
    roles = _roles(tx, {name for project in wanted for name in project.roles}, usual)
    places = {project: (domains.id_of(project.domain, usual), _fitting(project.name)) for project in wanted}
    _must_hold_there(places, roles)
    ids = _made(tx, sorted(set(places.values())))
    given = sorted({(ids[places[project]], roles[name].id) for project in wanted for name in project.roles})
    if given:
        rows = [{"user_id": user_id, "target": "project", "target_id": project_id, "role_id": role_id} for project_id, role_id in given]
        put(tx, insert(Assignment).values(rows), "role assignment", user_id)


def _fitting(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise BadRequest(f"The mapping names a project {name[:LONGEST_NAME]!r}: a project's name has 1 to {LONGEST_NAME} characters.")
    return name


def _must_hold_there(places: Mapping[MappedProject, Place], roles: Mapping[str, Role]) -> None:
    """As for every grant: a domain's own role is for its own projects. Raises Forbidden."""
    for project, (domain_id, _) in places.items():
        for role in (roles[name] for name in project.roles):
            if role.domain_id not in (None, domain_id):
                raise Forbidden(f"Role {role.id} belongs to another domain than what it would be granted on.")


def _roles(tx: Tx, names: set[str], domain_id: str) -> dict[str, Role]:
    """The roles by name: the cloud's, or the provider's domain's own. Raises NotFound."""
    mine = or_(Role.domain_id.is_(None), Role.domain_id == domain_id)
    found = {row.name: row for row in tx.scalars(select(Role).where(Role.name.in_(names), mine).order_by(Role.domain_id.nulls_last()))}
    lacking = sorted(names - set(found))
    if lacking:
        raise missing("role", lacking[0])
    return found


def _made(tx: Tx, places: list[Place]) -> dict[Place, str]:
    """The ids of the projects by (domain, name); whoever makes one of them at the same moment is waited for, and his is taken.

    Raises Forbidden for a disabled domain.
    """
    domains = select(Project).where(Project.id.in_({domain_id for domain_id, _ in places})).order_by(Project.id).with_for_update(read=True)
    for domain in tx.scalars(domains):
        if not domain.enabled:
            raise Forbidden(f"Domain {domain.id}, in which the mapping names a project, is disabled.")
    rows = [
        {"id": new_id(), "domain_id": domain_id, "parent_id": domain_id, "name": name, "is_domain": False} for domain_id, name in places
    ]
    put(tx, insert(Project).values(rows), "project", places[0][1])
    found = tx.execute(select(Project.id, Project.domain_id, Project.name).where(tuple_(Project.domain_id, Project.name).in_(places)))
    return {(row.domain_id, row.name): row.id for row in found}
