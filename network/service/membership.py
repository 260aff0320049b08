"""Which security groups hold for the ports of a server, changed for all of them at once. Comes in by `network.public`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import selectinload

from common.auth import Actor
from common.db import Tx, wake
from common.errors import NotFound
from network.models import PRESENT, Port, PortSecurityGroup, SecurityGroup
from network.service import plug
from network.service.network import TOPIC
from network.service.security_group import WITH_RULES, by_name
from network.service.visible import hold


def held(tx: Tx, attached: ColumnElement[bool]) -> Sequence[SecurityGroup]:
    """The groups of these ports with their rules, each once, oldest first."""
    ports = select(Port.id).where(attached, Port.desired == PRESENT)
    ids = select(PortSecurityGroup.security_group_id).where(PortSecurityGroup.port_id.in_(ports))
    query = select(SecurityGroup).where(SecurityGroup.id.in_(ids)).options(WITH_RULES)
    return tx.scalars(query.order_by(SecurityGroup.created_at, SecurityGroup.id)).all()


def names(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name and project of groups by their ids."""
    query = select(SecurityGroup.id, SecurityGroup.name, SecurityGroup.project_id).where(SecurityGroup.id.in_(ids))
    return {id: (name, project) for id, name, project in tx.execute(query)}


def join(tx: Tx, actor: Actor, attached: ColumnElement[bool], name: str) -> None:
    """The actor's group holds for these ports too, but for those without address or port security. Raises NotFound, Conflict."""
    (group,) = by_name(tx, actor, [name])
    ports = _locked(tx, attached)
    if not ports:
        raise NotFound(f"Security group {name} cannot be added: the server has no port that it could hold for.")
    hold(tx, SecurityGroup, group, actor)
    for port in ports:
        if port.port_security_enabled and port.fixed_ips and group not in _ids(port):
            plug.add_groups(tx, port, [group])
            port.touch()
    tx.flush()
    wake(tx, TOPIC)


def leave(tx: Tx, actor: Actor, attached: ColumnElement[bool], name: str) -> bool:
    """The actor's group holds for these ports no longer; whether it did for any. Raises NotFound, Conflict."""
    (group,) = by_name(tx, actor, [name])
    those = [port for port in _locked(tx, attached) if group in _ids(port)]
    for port in those:
        here = PortSecurityGroup.port_id == port.id, PortSecurityGroup.security_group_id == group
        tx.execute(delete(PortSecurityGroup).where(*here))
        port.touch()
    tx.flush()
    wake(tx, TOPIC)
    return bool(those)


def _locked(tx: Tx, attached: ColumnElement[bool]) -> Sequence[Port]:
    query = select(Port).where(attached, Port.desired == PRESENT).order_by(Port.id).with_for_update(of=Port)
    loads = selectinload(Port.security_groups), selectinload(Port.fixed_ips)
    return tx.scalars(query.options(*loads), execution_options={"populate_existing": True}).all()


def _ids(port: Port) -> set[str]:
    return {group.id for group in port.security_groups}
