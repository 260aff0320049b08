"""A server's metadata: what its owner notes on it, and what the guest reads at 169.254.169.254."""

from __future__ import annotations

from common.auth import Actor
from common.db import Tx
from common.errors import NotFound, OverQuota
from compute.models import Server
from compute.service import power, quota, servers


def check(tx: Tx, project_id: str, meta: dict[str, str]) -> None:
    """Raise OverQuota when there are more items than the project's quota allows."""
    if not meta:
        return
    allowed = quota.limits(tx, project_id)["metadata_items"]
    if 0 <= allowed < len(meta):
        raise OverQuota(f"Maximum number of metadata items exceeds {allowed}")


def write(tx: Tx, actor: Actor, server_id: str, meta: dict[str, str], *, replace: bool) -> dict[str, str]:
    """Add these items, or replace all by them; the whole that results. Raises NotFound, Conflict, OverQuota."""
    server = _open(tx, actor, server_id, "update metadata")
    new = meta if replace else {**server.meta, **meta}
    check(tx, server.project_id, new)
    _set(tx, server, new)
    return new


def remove(tx: Tx, actor: Actor, server_id: str, key: str) -> None:
    """Remove one item. Raises NotFound, Conflict."""
    server = _open(tx, actor, server_id, "delete metadata")
    if key not in server.meta:
        raise NotFound("Metadata item was not found")
    _set(tx, server, {name: value for name, value in server.meta.items() if name != key})


def _open(tx: Tx, actor: Actor, server_id: str, action: str) -> Server:
    server = servers.get(tx, actor, server_id, lock=True)
    power.unlocked(actor, server)
    power.in_state(tx, server, action, ("active", "paused", "stopped", "building", "error"))
    return server


def _set(tx: Tx, server: Server, meta: dict[str, str]) -> None:
    server.meta = meta
    power.wake_host(tx, server.id)
