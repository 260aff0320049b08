"""Volumes at servers. The attachment's row is the volume service's; the server's host brings it about."""

from __future__ import annotations

from common.auth import Actor
from common.db import Tx, lock_projects
from common.errors import BadRequest, Conflict, Forbidden, NotFound
from compute.service import actions, power, servers
from compute.service.boot import LETTERS, MOST_DISKS
from volume import public as volume_public
from volume.public import AttachmentView

ALLOWED = ("active", "paused", "stopped")


def of_server(tx: Tx, actor: Actor, server_id: str) -> list[AttachmentView]:
    """The server's volumes in the order of their devices. Raises NotFound."""
    servers.get(tx, actor, server_id)
    found = volume_public.attachments_of(tx, [server_id]).get(server_id, [])
    return sorted(found, key=lambda item: (len(item.device), item.device))


def get(tx: Tx, actor: Actor, server_id: str, volume_id: str) -> AttachmentView:
    """The attachment of one volume. Raises NotFound."""
    for item in of_server(tx, actor, server_id):
        if item.volume_id == volume_id:
            return item
    raise NotFound(f"Instance {server_id} is not attached to volume {volume_id}")


def attach(
    tx: Tx, actor: Actor, server_id: str, volume_id: str, *, device: str | None = None, delete_on_termination: bool = False
) -> AttachmentView:
    """Wish the volume at the server, as `device` (`/dev/vdb`) or the next free.

    Raises NotFound, BadRequest, Conflict; Forbidden when the server has as many disks as it takes.
    """
    lock_projects(tx, servers.get(tx, actor, server_id).project_id)
    server = servers.get(tx, actor, server_id, lock=True)
    power.unlocked(actor, server)
    power.in_state(tx, server, "attach_volume", ALLOWED)
    there = volume_public.attachments_of(tx, [server_id]).get(server_id, [])
    if any(item.volume_id == volume_id for item in there):
        raise BadRequest(f"Invalid volume: volume {volume_id} is already attached to instance {server_id}.")
    taken = {item.device for item in there} | ({"vda"} if server.image_id is not None else set())
    if len(taken) >= MOST_DISKS:
        raise Forbidden(f"The maximum allowed number of disk devices ({MOST_DISKS}) to attach to a single instance has been exceeded.")
    name = _device(device, taken)
    made = volume_public.attach(
        tx, actor, volume_id, server_id, device=name, mountpoint=f"/dev/{name}", delete_on_termination=delete_on_termination
    )
    actions.record(tx, actor, server_id, "attach_volume", finished=True)
    power.wake_host(tx, server_id)
    return made


def _device(asked: str | None, taken: set[str]) -> str:
    """The device's name. A virtio guest chooses for itself, so a name that is asked for is kept only where it is free and well formed."""
    wanted = (asked or "").removeprefix("/dev/")
    if wanted in taken:
        raise Conflict(f"The supplied device path ({asked}) is in use.")
    names = [f"vd{letter}" for letter in LETTERS]
    if wanted in names:
        return wanted
    return next(name for name in names if name not in taken)


def detach(tx: Tx, actor: Actor, server_id: str, volume_id: str) -> None:
    """Wish the volume away from the server. Raises NotFound, BadRequest (root device), Conflict."""
    lock_projects(tx, servers.get(tx, actor, server_id).project_id)
    server = servers.get(tx, actor, server_id, lock=True)
    power.unlocked(actor, server)
    item = get(tx, actor, server_id, volume_id)
    if server.image_id is None and item.mountpoint == server.root_device:
        raise BadRequest("Cannot detach a root device volume")
    power.in_state(tx, server, "detach_volume", (*ALLOWED, "error"))
    if item.desired == "absent":
        raise BadRequest(f"Invalid volume: volume {volume_id} is being detached already.")
    volume_public.detach(tx, item.id)
    if servers.host_of(tx, server_id) is None:
        volume_public.detached(tx, item.id)
    actions.record(tx, actor, server_id, "detach_volume", finished=True)
    power.wake_host(tx, server_id)
