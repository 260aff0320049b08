"""Roles, and which of them imply others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from common.db import Tx
from common.errors import BadRequest, Forbidden, NotFound
from identity.models import ImpliedRole, Role
from identity.service.project import get_domain
from identity.service.rows import Values, assign, filtered, find, flush, must_be_mutable, put, store

COLUMNS = ("name", "description")
KNOWN = (*COLUMNS, "id", "domain_id", "options", "links")
FILTERS = {"name": Role.name, "domain_id": Role.domain_id}
# Who could make any role imply this one could make himself the cloud's administrator.
NEVER_IMPLIED = "admin"


def create_role(tx: Tx, values: Values) -> Role:
    """A new role, a domain's own with `domain_id`. Raises NotFound (domain), Conflict (name)."""
    domain_id = get_domain(tx, values["domain_id"]).id if values.get("domain_id") else None
    role = Role(domain_id=domain_id, extra={}, options={})
    assign(role, values, COLUMNS, KNOWN)
    store(tx, role, "role", role.name)
    return role


def get_role(tx: Tx, role_id: str, *, lock: bool = False) -> Role:
    """The role. Raises NotFound."""
    return find(tx, Role, role_id, "role", lock=lock)


def list_roles(filters: Values) -> Select[Any]:
    """The roles of the cloud, or of the domain that the filter `domain_id` names."""
    return filtered(select(Role), {"domain_id": None, **filters}, FILTERS)


def update_role(tx: Tx, role_id: str, values: Values) -> Role:
    """Change a role."""
    role = get_role(tx, role_id, lock=True)
    if "domain_id" in values and values["domain_id"] != role.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    must_be_mutable(role, "role", values)
    assign(role, values, COLUMNS, KNOWN)
    flush(tx, "role", role.name)
    return role


def delete_role(tx: Tx, role_id: str) -> None:
    """Delete a role, and so whatever was granted with it."""
    role = get_role(tx, role_id, lock=True)
    must_be_mutable(role, "role")
    tx.delete(role)
    tx.flush()


def imply(tx: Tx, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Whoever has the prior role has the implied one from now on; harmless when repeated. Raises NotFound, Forbidden."""
    prior, implied = get_role(tx, prior_id), get_role(tx, implied_id)
    if prior.domain_id is None and implied.domain_id is not None:
        raise Forbidden(f"{prior_id} cannot imply the role {implied_id}, which is a domain's own.")
    if implied.name == NEVER_IMPLIED or implied is prior:
        raise Forbidden(f"{prior_id} cannot imply the role {implied_id}: not {NEVER_IMPLIED}, not itself.")
    put(tx, insert(ImpliedRole).values(prior_role_id=prior_id, implied_role_id=implied_id), "implied role", implied_id)
    return prior, implied


def get_implied(tx: Tx, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Both roles, if the one implies the other. Raises NotFound."""
    prior, implied = get_role(tx, prior_id), get_role(tx, implied_id)
    if tx.get(ImpliedRole, (prior_id, implied_id)) is None:
        raise NotFound(f"{prior_id} does not imply {implied_id}.")
    return prior, implied


def unimply(tx: Tx, prior_id: str, implied_id: str) -> None:
    """Take it back. Raises NotFound."""
    get_implied(tx, prior_id, implied_id)
    tx.execute(delete(ImpliedRole).where(ImpliedRole.prior_role_id == prior_id, ImpliedRole.implied_role_id == implied_id))


def inferences(tx: Tx, prior_id: str | None = None) -> list[tuple[Role, Role]]:
    """Every pair (prior, implied), or those of one prior role; ordered by their names."""
    prior, implied = aliased(Role), aliased(Role)
    statement = select(prior, implied).select_from(ImpliedRole)
    statement = statement.join(prior, prior.id == ImpliedRole.prior_role_id).join(implied, implied.id == ImpliedRole.implied_role_id)
    if prior_id is not None:
        statement = statement.where(prior.id == prior_id)
    return [(one, other) for one, other in tx.execute(statement.order_by(prior.name, prior.id, implied.name))]
