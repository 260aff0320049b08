"""Roles, and which of them imply others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Forbidden, NotFound
from identity.models import (
    AccessToken,
    AccessTokenRole,
    ApplicationCredential,
    ApplicationCredentialRole,
    ImpliedRole,
    Role,
    Trust,
    TrustRole,
)
from identity.service.project import get_domain
from identity.service.rows import DENIED, Values, assign, filtered, find, flush, missing, must_be_mutable, own_domain, put, same_id, store

COLUMNS = ("name", "description")
KNOWN = (*COLUMNS, "id", "domain_id", "options", "links")
FILTERS = {"name": Role.name, "domain_id": Role.domain_id}
# What a user hands on of his roles, and the column that says so of one role: none outlives a role that it gives.
DELEGATIONS: tuple[tuple[Any, Any], ...] = (
    (ApplicationCredential, ApplicationCredentialRole.application_credential_id), (Trust, TrustRole.trust_id),
    (AccessToken, AccessTokenRole.access_token_id),
)  # fmt: skip
# Who could make any role imply this one could make himself the cloud's administrator.
NEVER_IMPLIED = "admin"
# What the manager of a domain may look at, give and take (Keystone's domain_managed_target_role): nothing above himself.
MANAGED = frozenset({"manager", "member", "reader"})


def roles_of(delegation: ApplicationCredential | Trust | AccessToken) -> Select[Any]:
    """The roles that it gives."""
    giver = dict(DELEGATIONS)[type(delegation)]
    return select(Role).join(giver.class_, giver.class_.role_id == Role.id).where(giver == delegation.id)


def role_of(tx: Tx, delegation: ApplicationCredential | Trust | AccessToken, role_id: str) -> Role:
    """The role, if it gives that. Raises NotFound."""
    row: Role | None = tx.scalar(roles_of(delegation).where(Role.id == role_id))
    if row is None:
        raise missing("role", role_id)
    return row


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


def see_role(tx: Tx, actor: Actor, role_id: str) -> Role:
    """The role. Raises NotFound; for whoever sees one domain only, Forbidden for an unknown one and for those that he may not give."""
    role = tx.get(Role, role_id)
    if own_domain(actor) is not None and (role is None or role.domain_id is not None or role.name not in MANAGED):
        raise Forbidden(DENIED)
    return get_role(tx, role_id)


def list_roles(filters: Values) -> Select[Any]:
    """The roles of the cloud, or of the domain that the filter `domain_id` names."""
    return filtered(select(Role), {"domain_id": None, **filters}, FILTERS)


def update_role(tx: Tx, role_id: str, values: Values) -> Role:
    """Change a role. Raises NotFound, BadRequest (another id or domain), Forbidden (immutable), Conflict (name)."""
    role = get_role(tx, role_id, lock=True)
    same_id(values, role_id, "role")
    if "domain_id" in values and values["domain_id"] != role.domain_id:
        raise BadRequest("Cannot change Domain ID.")
    must_be_mutable(role, "role", values)
    assign(role, values, COLUMNS, KNOWN)
    flush(tx, "role", role.name)
    return role


def delete_role(tx: Tx, role_id: str) -> None:
    """Delete a role, and so whatever was granted with it; application credentials, trusts and access tokens that give it end."""
    role = get_role(tx, role_id, lock=True)
    must_be_mutable(role, "role")
    for model, giver in DELEGATIONS:
        tx.execute(delete(model).where(model.id.in_(select(giver).where(giver.class_.role_id == role_id))))
    tx.delete(role)
    tx.flush()


def imply(tx: Tx, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Whoever has the prior role has the implied one from now on; harmless when repeated. Raises NotFound, Forbidden."""
    prior, implied = get_role(tx, prior_id), get_role(tx, implied_id)
    # As in Keystone a domain's role may imply another domain's: by what the two imply of the cloud's it counts, and none of both is in a token.
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
