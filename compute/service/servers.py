"""Servers as their owners see them: who sees which, filters, and all that an answer shows, loaded in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, column, func, select, true, values
from sqlalchemy.exc import DataError

from common.api.paging import Column, Page
from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, NotFound
from compute.models import Allocation, Host, Server
from compute.status import POWER_STATE, STATUS, TASK_STATE, VM_STATE, Facts, Status, status_of
from network import public as network_public
from network.public import PortView
from volume import public as volume_public
from volume.public import AttachmentView

CHANGED = func.coalesce(Server.updated_at, Server.created_at)
SORT_KEYS: dict[str, Column] = {
    "created_at": Server.created_at, "updated_at": CHANGED, "display_name": Server.name, "name": Server.name, "uuid": Server.id,
    "vm_state": VM_STATE, "task_state": TASK_STATE, "power_state": POWER_STATE, "instance_type_id": Server.flavor_id,
    "image_ref": Server.image_id, "key_name": Server.key_name, "user_id": Server.user_id, "project_id": Server.project_id,
    "hostname": Server.hostname, "launched_at": Server.launched_at, "availability_zone": Server.availability_zone, "host": Host.name,
    "launch_index": Server.launch_index, "root_device_name": Server.root_device, "access_ip_v4": Server.access_ip_v4,
    "access_ip_v6": Server.access_ip_v6, "display_description": Server.name, "locked": Server.locked_by,
}  # fmt: skip
# An order by host tells who shares one.
HOST_KEYS = ("host",)


@dataclass(frozen=True)
class ServerView:
    """A server with what its answer shows beside its row."""

    row: Server
    status: Status
    host: str | None = None
    host_zone: str | None = None
    ports: Sequence[PortView] = ()
    attachments: Sequence[AttachmentView] = ()

    @property
    def id(self) -> str:
        """The server's id; lists page by it."""
        return self.row.id


@dataclass(frozen=True)
class Filters:
    """What a list is asked for; None is not asked. `name` and `ip` are regular expressions, `status` and `vm_state` words."""

    all_projects: bool = False
    project_id: str | None = None
    user_id: str | None = None
    name: str | None = None
    statuses: Sequence[str] = ()
    flavor: str | None = None
    image: str | None = None
    ip: str | None = None
    host: str | None = None
    zone: str | None = None
    key_name: str | None = None
    reservation_id: str | None = None
    changes_since: datetime | None = None
    nothing: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def base() -> Select[Any]:
    """Servers that the API shows, joined to where they are."""
    joined = select(Server).outerjoin(Allocation, Allocation.server_id == Server.id).outerjoin(Host, Host.id == Allocation.host_id)
    return joined.where(~Server.hidden)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL: the servers that `actor` may know of."""
    return true() if actor.is_admin else Server.project_id == actor.project_id


def get(tx: Tx, actor: Actor, server_id: str, *, lock: bool = False) -> Server:
    """The server's row. Raises NotFound."""
    asked = select(Server).where(Server.id == server_id, ~Server.hidden, visible_to(actor))
    if lock:
        asked = asked.with_for_update().execution_options(populate_existing=True)
    found = tx.execute(asked).scalar()
    if found is None:
        raise NotFound(f"Instance {server_id} could not be found.")
    return found


def view(tx: Tx, actor: Actor, server_id: str) -> ServerView:
    """The server with all that its answer shows. Raises NotFound."""
    return load(tx, [get(tx, actor, server_id)])[0]


def load(tx: Tx, rows: Sequence[Server]) -> list[ServerView]:
    """Rows with all that their answers show: three queries, whatever their number."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    asked = select(Allocation.server_id, Host.name, Host.availability_zone).join(Host, Host.id == Allocation.host_id)
    hosts = {row[0]: (row[1], row[2]) for row in tx.execute(asked.where(Allocation.server_id.in_(ids)))}
    ports = network_public.ports_of(tx, ids)
    attachments = volume_public.attachments_of(tx, ids)
    return [
        ServerView(
            row, status_of(Facts.of(row, placed=row.id in hosts)), host=hosts[row.id][0] if row.id in hosts else None,
            host_zone=hosts[row.id][1] if row.id in hosts else None, ports=ports.get(row.id, ()), attachments=attachments.get(row.id, ()),
        )
        for row in rows
    ]  # fmt: skip


def status(tx: Tx, server: Server) -> Status:
    """The server's status now."""
    placed = tx.execute(select(Allocation.host_id).where(Allocation.server_id == server.id)).scalar() is not None
    return status_of(Facts.of(server, placed=placed))


def page(tx: Tx, actor: Actor, filters: Filters, asked: Page) -> list[Server]:
    """One page of rows, and one more where there is more."""
    if filters.nothing:
        return []
    statement = base().where(*_clauses(filters), *_scope(actor, filters))
    try:
        if filters.ip is not None:
            statement = statement.where(Server.id.in_(_with_address(tx, statement, filters.ip)))
        return asked.rows(tx, statement, SORT_KEYS, Server.id)
    except DataError as error:
        raise BadRequest(f"Invalid filter: {str(error.orig).splitlines()[0]}.") from None


def _scope(actor: Actor, filters: Filters) -> list[ColumnElement[bool]]:
    if filters.all_projects:
        return [Server.project_id == filters.project_id] if filters.project_id else []
    return [Server.project_id == actor.project_id]


def _clauses(filters: Filters) -> list[ColumnElement[bool]]:
    equal = {
        Server.user_id: filters.user_id, Server.flavor_id: filters.flavor, Server.image_id: filters.image, Host.name: filters.host,
        Server.key_name: filters.key_name, Server.reservation_id: filters.reservation_id,
        func.coalesce(Host.availability_zone, Server.availability_zone): filters.zone,
    }  # fmt: skip
    found: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    columns: dict[str, ColumnElement[Any]] = {"vm_state": VM_STATE, "task_state": TASK_STATE, "power_state": POWER_STATE}
    found += [columns[key] == value for key, value in filters.extra.items() if key in columns]
    if filters.name is not None:
        found.append(Server.name.op("~")(filters.name))
    if filters.statuses:
        found.append(STATUS.in_([word.upper() for word in filters.statuses]))
    if filters.changes_since is not None:
        found.append(filters.changes_since <= CHANGED)
    return found


def _with_address(tx: Tx, statement: Select[Any], pattern: str) -> list[str]:
    """Ids of those servers of `statement` that have an address that the expression is found in; PostgreSQL matches, as it is bounded."""
    ids = list(tx.execute(statement.with_only_columns(Server.id)).scalars())
    ports = network_public.ports_of(tx, ids)
    pairs = [(key, ip.ip) for key in ids for port in ports.get(key, ()) for ip in port.fixed_ips]
    if not pairs:
        return []
    held = values(column("id", String), column("ip", String), name="held").data(pairs)
    return list(tx.execute(select(held.c.id).where(held.c.ip.op("~")(pattern)).distinct()).scalars())


def host_of(tx: Tx, server_id: str) -> str | None:
    """The id of the host that the server is on."""
    return tx.execute(select(Allocation.host_id).where(Allocation.server_id == server_id)).scalar()


def on_hosts(tx: Tx, host_ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids of the servers by the id of the host that they are on."""
    found: dict[str, list[str]] = {}
    asked = select(Allocation.host_id, Allocation.server_id).where(Allocation.host_id.in_(host_ids)).order_by(Allocation.server_id)
    for host_id, server_id in tx.execute(asked):
        found.setdefault(host_id, []).append(server_id)
    return found
