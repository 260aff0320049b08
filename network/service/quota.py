"""Limits per project: what is used is counted under the project's lock, never stored."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx, lock_projects
from common.errors import OverQuota
from common.models import Quota
from network.models import OWNER_METADATA, PRESENT, FloatingIp, Network, Owned, Port, Router, SecurityGroup, SecurityGroupRule, Subnet
from network.service import errors

SERVICE = "network"
UNLIMITED = -1
DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
}
MODELS: dict[str, type[Owned]] = {
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "router": Router,
    "floatingip": FloatingIp,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
}


def limits(tx: Tx, project_id: str) -> dict[str, int]:
    """The project's limit per resource; -1 is none."""
    rows = tx.execute(select(Quota.resource, Quota.hard_limit).where(Quota.project_id == project_id, Quota.service == SERVICE))
    return DEFAULTS | {resource: limit for resource, limit in rows if resource in DEFAULTS}


def used(tx: Tx, project_id: str, resource: str) -> int:
    """How many the project has. The metadata port is the cloud's own."""
    model = MODELS[resource]
    query = select(func.count()).select_from(model).where(model.project_id == project_id, model.desired == PRESENT)
    if model is Port:
        query = query.where(Port.device_owner != OWNER_METADATA)
    return tx.scalars(query).one()


def claim(tx: Tx, project_id: str, resource: str, count: int = 1) -> None:
    """Lock the project and see that `count` more are within its limit, before they are added. Raises OverQuota."""
    lock_projects(tx, project_id)
    limit = limits(tx, project_id)[resource]
    if limit != UNLIMITED and used(tx, project_id, resource) + count > limit:
        raise OverQuota(f"Quota exceeded for resources: ['{resource}'].", type="OverQuota")


def change(tx: Tx, project_id: str, values: Mapping[str, int], *, check: bool = False) -> dict[str, int]:
    """Set limits; those not named stay. Raises BadRequest where `check` is asked for and a limit is less than what is used."""
    for resource, limit in values.items():
        if check and limit != UNLIMITED and (has := used(tx, project_id, resource)) > limit:
            raise errors.bad(f"Quota limit {limit} for {resource} must be greater than or equal to already used {has}")
        row = insert(Quota).values(project_id=project_id, service=SERVICE, resource=resource, hard_limit=limit)
        keys = [Quota.project_id, Quota.service, Quota.resource]
        tx.execute(row.on_conflict_do_update(index_elements=keys, set_={"hard_limit": limit}))
    return limits(tx, project_id)


def reset(tx: Tx, project_id: str) -> None:
    """Back to the defaults."""
    tx.execute(delete(Quota).where(Quota.project_id == project_id, Quota.service == SERVICE))


def every(tx: Tx) -> dict[str, dict[str, int]]:
    """Limits by project, of those that have their own."""
    found: dict[str, dict[str, int]] = {}
    query = select(Quota.project_id, Quota.resource, Quota.hard_limit).where(Quota.service == SERVICE).order_by(Quota.project_id)
    for project_id, resource, limit in tx.execute(query):
        found.setdefault(project_id, dict(DEFAULTS))[resource] = limit
    return found
