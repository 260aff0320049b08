"""Which policy an endpoint is meant to follow: its own, else its service's in its region or one around it, else its service's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx
from common.errors import NotFound
from identity.models import Endpoint, Policy, PolicyAssociation, Region, Service
from identity.service.rows import find


@dataclass(frozen=True, slots=True)
class Aim:
    """What a policy is meant for: an endpoint, or a service, or a service in a region."""

    endpoint_id: str | None = None
    service_id: str | None = None
    region_id: str | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """SQL: the association has this aim."""
        names = ("endpoint_id", "service_id", "region_id")
        return and_(*[getattr(PolicyAssociation, name).is_not_distinct_from(getattr(self, name)) for name in names])


def _check(tx: Tx, policy_id: str, aim: Aim) -> None:
    find(tx, Policy, policy_id, "policy")
    for model, row_id, what in (
        (Endpoint, aim.endpoint_id, "endpoint"),
        (Service, aim.service_id, "service"),
        (Region, aim.region_id, "region"),
    ):
        if row_id is not None:
            find(tx, model, row_id, what)


def associate(tx: Tx, policy_id: str, aim: Aim) -> None:
    """The policy is meant for `aim` from now on, in the place of any other. Raises NotFound."""
    _check(tx, policy_id, aim)
    row = {"policy_id": policy_id, "endpoint_id": aim.endpoint_id, "service_id": aim.service_id, "region_id": aim.region_id}
    aims = [PolicyAssociation.endpoint_id, PolicyAssociation.service_id, PolicyAssociation.region_id]
    tx.execute(insert(PolicyAssociation).values(row).on_conflict_do_update(index_elements=aims, set_={"policy_id": policy_id}))


def check(tx: Tx, policy_id: str, aim: Aim) -> None:
    """That the policy is meant for `aim`. Raises NotFound (also of either)."""
    _check(tx, policy_id, aim)
    if tx.scalar(select(PolicyAssociation.id).where(PolicyAssociation.policy_id == policy_id, aim.condition)) is None:
        raise NotFound("Could not find policy association.")


def dissociate(tx: Tx, policy_id: str, aim: Aim) -> None:
    """The policy is not meant for `aim` any more; harmless when it was not. Raises NotFound of either."""
    _check(tx, policy_id, aim)
    tx.execute(delete(PolicyAssociation).where(PolicyAssociation.policy_id == policy_id, aim.condition))


def endpoints_of(policy_id: str) -> Select[Any]:
    """The endpoints that the policy is meant for, in whatever way; regions mean those within them too."""
    meant = select(PolicyAssociation).where(PolicyAssociation.policy_id == policy_id).subquery()
    start = select(meant.c.service_id, meant.c.region_id).where(meant.c.region_id.is_not(None)).cte("within", recursive=True)
    within = start.union(select(start.c.service_id, Region.id).join(start, Region.parent_region_id == start.c.region_id))
    return select(Endpoint).where(or_(
        Endpoint.id.in_(select(meant.c.endpoint_id)),
        Endpoint.service_id.in_(select(meant.c.service_id).where(meant.c.region_id.is_(None))),
        select(within.c.region_id).where(within.c.service_id == Endpoint.service_id, within.c.region_id == Endpoint.region_id).exists(),
    ))  # fmt: skip


def policy_of(tx: Tx, endpoint_id: str) -> Policy:
    """The policy that an endpoint is meant to follow. Raises NotFound (also where there is none)."""
    endpoint = find(tx, Endpoint, endpoint_id, "endpoint")
    start = select(Region.id, Region.parent_region_id, literal(0).label("level")).where(Region.id == endpoint.region_id)
    line = start.cte("around", recursive=True)
    around = line.union(select(Region.id, Region.parent_region_id, line.c.level + 1).join(line, Region.id == line.c.parent_region_id))
    of_service = PolicyAssociation.service_id == endpoint.service_id
    statement = select(Policy).join(PolicyAssociation).outerjoin(around, around.c.id == PolicyAssociation.region_id)
    statement = statement.where(or_(
        PolicyAssociation.endpoint_id == endpoint_id,
        and_(of_service, or_(PolicyAssociation.region_id.is_(None), around.c.id.is_not(None))),
    )).order_by(PolicyAssociation.endpoint_id.is_(None), PolicyAssociation.region_id.is_(None), around.c.level).limit(1)  # fmt: skip
    policy = tx.scalar(statement)
    if policy is None:
        raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")
    return policy
