"""The log of what was asked of a server, one row per request; `os-instance-actions` shows it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Interval, delete, exists, literal, select, update

from common.auth import Actor
from common.db import Tx, clock
from common.errors import NotFound
from compute.models import Server, ServerAction

KEPT = timedelta(days=90)


def record(tx: Tx, actor: Actor, server_id: str, action: str, *, finished: bool = False) -> None:
    """Note that `actor` asked for `action`; `finished` when the transaction itself brings it about."""
    tx.add(
        ServerAction(
            server_id=server_id, action=action, request_id=str(tx.info.get("request_id") or ""), user_id=actor.user_id,
            project_id=actor.project_id, finished_at=clock() if finished else None,
        )
    )  # fmt: skip


def finish(tx: Tx, server_id: str, *actions: str, message: str | None = None) -> None:
    """What was under way of these actions has come about, or failed with `message`."""
    open_ = update(ServerAction).where(ServerAction.server_id == server_id, ServerAction.finished_at.is_(None))
    tx.execute(open_.where(ServerAction.action.in_(actions)).values(finished_at=clock(), message=message))


def of_server(tx: Tx, server_id: str) -> list[ServerAction]:
    """The server's log, newest first."""
    return list(tx.execute(select(ServerAction).where(ServerAction.server_id == server_id).order_by(ServerAction.id.desc())).scalars())


def get(tx: Tx, server_id: str, request_id: str) -> ServerAction:
    """What one request asked of the server. Raises NotFound."""
    asked = select(ServerAction).where(ServerAction.server_id == server_id, ServerAction.request_id == request_id)
    found = tx.execute(asked.limit(1)).scalar()
    if found is None:
        raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
    return found


def forget(tx: Tx) -> None:
    """Drop what was asked 90 days ago of servers that are gone."""
    there = exists().where(Server.id == ServerAction.server_id)
    tx.execute(delete(ServerAction).where(ServerAction.started_at < clock() - literal(KEPT, Interval()), ~there))
