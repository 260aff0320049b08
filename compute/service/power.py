"""What a client may do to a server that is there: start, stop, reboot, lock, rename, delete. Each changes a wish; the host brings it about."""

from __future__ import annotations

from typing import Any

from common import jobs
from common.auth import Actor
from common.db import Tx, lock_projects, wake
from common.errors import Conflict, Forbidden
from compute.flows import server_delete
from compute.models import Server
from compute.names import host_topic
from compute.service import actions, servers

REBOOTS = {"rebooting": ("SOFT",), "rebooting_hard": ("SOFT", "HARD")}


def start(tx: Tx, actor: Actor, server_id: str) -> None:
    """Wish it running. Raises NotFound; Conflict unless it is stopped."""
    server = _ready_for(tx, actor, server_id, "start", ("stopped",))
    _wish(tx, actor, server, "start", "running")


def stop(tx: Tx, actor: Actor, server_id: str) -> None:
    """Wish it stopped. Raises NotFound; Conflict unless it is active, paused or failed."""
    server = _ready_for(tx, actor, server_id, "stop", ("active", "paused", "error"))
    if server.launched_at is None:
        raise _conflict("stop", server_id, "vm_state", "error")
    _wish(tx, actor, server, "stop", "stopped")


def reboot(tx: Tx, actor: Actor, server_id: str, kind: str) -> None:
    """Count one more reboot; `kind` is SOFT or HARD. A hard one starts a stopped server. Raises NotFound, Conflict."""
    allowed = ("active",) if kind == "SOFT" else ("active", "stopped", "paused", "error")
    server = _ready_for(tx, actor, server_id, "reboot", allowed)
    if not server.prepared:
        raise _conflict("reboot", server_id, "vm_state", "error")
    task = servers.status(tx, server).task_state
    if task is not None and kind in REBOOTS.get(task, ()):
        raise _conflict("reboot", server_id, "task_state", task)
    server.reboots += 1
    server.reboot_type = kind
    _wish(tx, actor, server, "reboot", "running")


def lock(tx: Tx, actor: Actor, server_id: str) -> None:
    """Refuse changes from now on to all but administrators."""
    server = servers.get(tx, actor, server_id, lock=True)
    server.locked_by = "admin" if actor.is_admin and actor.project_id != server.project_id else "owner"
    actions.record(tx, actor, server_id, "lock", finished=True)


def unlock(tx: Tx, actor: Actor, server_id: str) -> None:
    """Allow changes again."""
    server = servers.get(tx, actor, server_id, lock=True)
    if server.locked_by == "admin" and not actor.is_admin:
        raise Forbidden(f"Instance {server_id} was locked by an administrator.")
    server.locked_by = None
    actions.record(tx, actor, server_id, "unlock", finished=True)


def change(tx: Tx, actor: Actor, server_id: str, values: dict[str, Any]) -> None:
    """Change columns that no engine is asked about (name, access addresses). Raises NotFound."""
    server = servers.get(tx, actor, server_id, lock=True)
    for name, value in values.items():
        setattr(server, name, value)


def delete(tx: Tx, actor: Actor, server_id: str) -> None:
    """Wish it absent, whatever its state; the job of whatever was under way becomes the delete's. Raises NotFound, Conflict (locked)."""
    lock_projects(tx, servers.get(tx, actor, server_id).project_id)
    server = servers.get(tx, actor, server_id, lock=True)
    unlocked(actor, server)
    if server.desired != "absent":
        server.desired = "absent"
        server.touch()
        actions.record(tx, actor, server_id, "delete")
    jobs.divert(tx, server_delete.FLOW, server_id, actor=actor.user_id, project_id=server.project_id)


def unlocked(actor: Actor, server: Server) -> None:
    """Raise Conflict when the server is locked against `actor`."""
    if server.locked_by is not None and not actor.is_admin:
        raise Conflict(f"Instance {server.id} is locked")


def in_state(tx: Tx, server: Server, action: str, allowed: tuple[str, ...]) -> None:
    """Raise Conflict, in Nova's words, unless the server's vm_state allows `action`."""
    status = servers.status(tx, server)
    if status.task_state == "deleting":
        raise _conflict(action, server.id, "task_state", "deleting")
    if status.vm_state not in allowed:
        raise _conflict(action, server.id, "vm_state", status.vm_state)


def _conflict(action: str, server_id: str, attribute: str, state: str) -> Conflict:
    return Conflict(f"Cannot '{action}' instance {server_id} while it is in {attribute} {state}")


def _ready_for(tx: Tx, actor: Actor, server_id: str, action: str, allowed: tuple[str, ...]) -> Server:
    server = servers.get(tx, actor, server_id, lock=True)
    unlocked(actor, server)
    in_state(tx, server, action, allowed)
    return server


def _wish(tx: Tx, actor: Actor, server: Server, action: str, desired: str) -> None:
    server.desired = desired
    server.fault = None
    server.touch()
    actions.record(tx, actor, server.id, action)
    wake_host(tx, server.id)


def wake_host(tx: Tx, server_id: str) -> None:
    """Tell the server's host to look."""
    host_id = servers.host_of(tx, server_id)
    if host_id is not None:
        wake(tx, host_topic(host_id))
