"""Who sees what, as WHERE clauses, and the look-ups that start from them. A row that is not visible is not there."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, or_, select, true

from common.auth import Actor
from common.db import Tx
from network.models import PRESENT, FloatingIp, Network, Owned, Port, Router, SecurityGroup, SecurityGroupRule, Subnet
from network.service import errors

R = TypeVar("R", bound=Owned)

NAMES: dict[type[Owned], str] = {
    Network: "network",
    Subnet: "subnet",
    Port: "port",
    Router: "router",
    FloatingIp: "floatingip",
    SecurityGroup: "security_group",
    SecurityGroupRule: "security_group_rule",
}


def visible_to(actor: Actor, model: type[Owned]) -> ColumnElement[bool]:
    """Owner; besides, networks that are shared or external, shared networks' subnets, and ports on one's own networks."""
    if actor.is_admin:
        return true()
    project = actor.project_id or "-"
    own = model.project_id == project
    if model is Network:
        return or_(own, Network.shared, Network.external)
    if model is Subnet:
        return or_(own, Subnet.network_id.in_(select(Network.id).where(or_(Network.project_id == project, Network.shared))))
    if model is Port:
        return or_(own, Port.network_id.in_(select(Network.id).where(Network.project_id == project)))
    return own


def statement(actor: Actor, model: type[R]) -> Select[Any]:
    """All rows of `model` that the actor sees."""
    return select(model).where(model.desired == PRESENT, visible_to(actor, model))


def get(tx: Tx, actor: Actor, model: type[R], id: str, *options: Any) -> R:
    """The row. Raises NotFound in the noun's own type."""
    row: R | None = tx.scalars(statement(actor, model).where(model.id == id).options(*options)).one_or_none()
    if row is None:
        raise errors.missing(NAMES[model], id)
    return row


def _lock(tx: Tx, model: type[R], id: str, actor: Actor | None, *, share: bool) -> R:
    query: Select[Any] = statement(actor, model) if actor else select(model).where(model.desired == PRESENT)
    query = query.where(model.id == id).with_for_update(read=share, key_share=share, of=model)
    row: R | None = tx.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise errors.missing(NAMES[model], id)
    return row


def hold(tx: Tx, model: type[R], id: str, actor: Actor | None = None) -> R:
    """The row, which none may remove before this transaction ends. `actor` None: whoever's it is."""
    return _lock(tx, model, id, actor, share=True)


def lock(tx: Tx, model: type[R], id: str, actor: Actor | None = None) -> R:
    """The row, for this transaction alone, to be changed or removed."""
    return _lock(tx, model, id, actor, share=False)


def mine(actor: Actor, row: Owned, action: str) -> None:
    """Raise Forbidden unless the visible `row` is the actor's to change."""
    if not actor.is_admin and row.project_id != actor.project_id:
        raise errors.forbidden(action)


def lock_mine(tx: Tx, actor: Actor, model: type[R], id: str, verb: str) -> R:
    """The actor's own row, locked. Raises NotFound, Forbidden."""
    row = lock(tx, model, id, actor)
    mine(actor, row, f"{verb}_{NAMES[model]}")
    return row
