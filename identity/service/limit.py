"""Limits: what one project or one domain has instead of a registered limit.

Model `flat`: each stands alone. `strict_two_level`: a project's is never above its domain's, which is the registered one where the domain has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, aliased, contains_eager

from common.auth import Actor
from common.config import CONF
from common.db import Tx
from common.errors import BadRequest, Forbidden
from identity.models import Limit, Project, RegisteredLimit
from identity.service.registered_limit import must_exist
from identity.service.rows import Values, filtered, flush, missing, own_domain, same_id

STRICT = "strict_two_level"
MODELS = {
    "flat": "Limit enforcement and validation does not take project hierarchy into consideration.",
    STRICT: "This model requires project hierarchy never exceeds a depth of two",
}
FILTERS: dict[str, InstrumentedAttribute[Any]] = {
    "service_id": RegisteredLimit.service_id, "region_id": RegisteredLimit.region_id, "resource_name": RegisteredLimit.resource_name,
    "project_id": Limit.project_id, "domain_id": Limit.domain_id,
}  # fmt: skip
UNLIMITED = -1
Key = tuple[str, str | None, str]


def create_limits(tx: Tx, given: Sequence[Values]) -> list[Limit]:
    """New ones, all or none. Raises BadRequest (unknown service, region, project or domain), Conflict, Forbidden (nothing is registered; model).

    As many queries for many as for one.
    """
    must_exist(tx, "limit", given)
    bearers, registered = _bearers(tx, given), _registered(tx, given)
    rows = []
    for values in given:
        row = Limit(
            registered=registered[_key(values)], resource_limit=int(values["resource_limit"]), description=values.get("description")
        )
        bearer = bearers[_bearer(values)[1]]
        row.project_id, row.domain_id = (None, bearer.id) if bearer.is_domain else (bearer.id, None)
        rows.append(row)
    tx.add_all(rows)
    flush(tx, "limit", ", ".join(values["resource_name"] for values in given))
    _hold_to_model(tx, rows)
    return rows


def _key(values: Values) -> Key:
    return values["service_id"], values.get("region_id"), values["resource_name"]


def _bearers(tx: Tx, given: Sequence[Values]) -> dict[str, Project]:
    """The projects and domains that are named; a project_id may name a domain, as everywhere."""
    asked = [_bearer(values) for values in given]
    found = {row.id: row for row in tx.scalars(select(Project).where(Project.id.in_({bearer_id for _, bearer_id in asked})))}
    for name, bearer_id in asked:
        row = found.get(bearer_id)
        if row is None or (name == "domain_id" and not row.is_domain):
            raise BadRequest(f"Invalid input for field/attribute limit.{name}. Value: {bearer_id}. There is no such {name[:-3]}.")
    return found


def _bearer(values: Values) -> tuple[str, str]:
    """(project_id or domain_id, the id)."""
    given = [(name, values[name]) for name in ("project_id", "domain_id") if values.get(name) is not None]
    if len(given) != 1:
        raise BadRequest("Invalid input for field/attribute limit: it needs exactly one of project_id and domain_id.")
    return given[0]


def _registered(tx: Tx, given: Sequence[Values]) -> dict[Key, RegisteredLimit]:
    """The registered limit of each, locked against other changes of its limits. Raises Forbidden where there is none."""
    keys = {_key(values) for values in given}
    columns = (RegisteredLimit.service_id, func.coalesce(RegisteredLimit.region_id, ""), RegisteredLimit.resource_name)
    statement = select(RegisteredLimit).where(tuple_(*columns).in_([(service, region or "", name) for service, region, name in keys]))
    rows = tx.scalars(statement.order_by(RegisteredLimit.id).with_for_update(key_share=True))
    found: dict[Key, RegisteredLimit] = {(row.service_id, row.region_id, row.resource_name): row for row in rows}
    for service_id, region_id, name in keys - found.keys():
        what = f"resource_name: {name}, service_id: {service_id}, region_id: {region_id}"
        raise Forbidden(f"Unable to create a limit that has no corresponding registered limit ({what}).")
    return found


def _hold_to_model(tx: Tx, rows: Sequence[Limit]) -> None:
    """Raise Forbidden where the model does not allow what was written. One query.

    The registered limits are locked: no other limit of theirs is being written.
    """
    if CONF.identity.limit_model != STRICT:
        return
    written = [row.id for row in rows]
    above = aliased(Limit)
    ceiling = func.coalesce(above.resource_limit, RegisteredLimit.default_limit)
    higher = and_(ceiling != UNLIMITED, or_(Limit.resource_limit == UNLIMITED, Limit.resource_limit > ceiling))
    nested = Project.parent_id != Project.domain_id
    statement = select(Limit, RegisteredLimit).join(Limit.registered).join(Project, Project.id == Limit.project_id)
    statement = statement.outerjoin(
        above, and_(above.domain_id == Project.domain_id, above.registered_limit_id == Limit.registered_limit_id)
    )
    touched = or_(Limit.id.in_(written), above.id.in_(written))
    found = tx.execute(statement.where(touched, or_(higher, and_(nested, Limit.id.in_(written)))).limit(1)).first()
    if found is not None:
        limit, registered = found
        raise Forbidden(
            f"Invalid resource limit: The resource limit (project_id: {limit.project_id}, resource_name: {registered.resource_name}, resource_limit: "
            f"{limit.resource_limit}, service_id: {registered.service_id}, region_id: {registered.region_id}) doesn't satisfy current hierarchy model."
        )


def visible_to(actor: Actor) -> ColumnElement[bool] | None:
    """SQL: the actor sees the limit: the own project's; those of the own domain and its projects. None is all."""
    domain = own_domain(actor)
    if domain is None:
        return None
    if actor.project_id is not None:
        return Limit.project_id == actor.project_id
    if not domain:
        return false()
    return or_(Limit.domain_id == domain, Limit.project_id.in_(select(Project.id).where(Project.domain_id == domain)))


def list_limits(actor: Actor, filters: Values) -> Select[Any]:
    """The limits that the actor sees and the filters let through."""
    statement = filtered(select(Limit).join(Limit.registered).options(contains_eager(Limit.registered)), filters, FILTERS)
    visible = visible_to(actor)
    return statement if visible is None else statement.where(visible)


def limits_of(tx: Tx, project_ids: Sequence[str]) -> dict[str, list[Limit]]:
    """The limits of these projects, by project."""
    statement = select(Limit).join(Limit.registered).options(contains_eager(Limit.registered)).where(Limit.project_id.in_(project_ids))
    found: dict[str, list[Limit]] = {project_id: [] for project_id in project_ids}
    for row in tx.scalars(statement.order_by(Limit.id)):
        found[row.project_id or ""].append(row)
    return found


def get_limit(tx: Tx, actor: Actor, limit_id: str, *, lock: bool = False) -> Limit:
    """The limit. Raises NotFound; for an actor who does not see all, Forbidden for a foreign and an unknown one alike.

    lock: hold it, and its registered limit, to the end of the transaction.
    """
    statement = list_limits(actor, {}).where(Limit.id == limit_id)
    row: Limit | None = tx.scalar(statement.with_for_update(key_share=True) if lock else statement)
    if row is None and own_domain(actor) is not None:
        raise Forbidden("You are not authorized to perform the requested action.")
    if row is None:
        raise missing("limit", limit_id)
    return row


def update_limit(tx: Tx, actor: Actor, limit_id: str, values: Values) -> Limit:
    """Change a limit. Raises NotFound, Forbidden (model), BadRequest (another id)."""
    same_id(values, limit_id, "limit")
    row = get_limit(tx, actor, limit_id, lock=True)
    if "resource_limit" in values:
        row.resource_limit = int(values["resource_limit"])
    if "description" in values:
        row.description = values["description"]
    flush(tx, "limit", limit_id)
    _hold_to_model(tx, [row])
    return row


def delete_limit(tx: Tx, actor: Actor, limit_id: str) -> None:
    """Delete a limit: what is registered holds again. Raises NotFound."""
    tx.delete(get_limit(tx, actor, limit_id, lock=True))
    tx.flush()
