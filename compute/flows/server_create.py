"""server.create: a host is chosen and the ports bound to it, the disks made, and the host's agent starts the server.

Nothing here waits for a host but the last step, which only sees to it that the intent has an end.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from common.db import Tx, wake
from common.jobs import Done, Fail, Flow, Goto, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd import SnapshotName, StoreNotFound
from compute import placement
from compute.engine import store_of
from compute.models import Allocation, Host, Server
from compute.names import host_topic
from compute.placement import Wish
from compute.service import actions
from image import public as image_public
from network import public as network_public
from volume import public as volume_public

GIB = 1 << 30
# How long a server waits for hosts that went silent (a bus or a controller that restarts) before it fails.
LOOK_SECONDS, MOST_LOOKS = 5.0, 12
FLOW: Flow[Server] = Flow("server.create", Server, deadline=timedelta(minutes=30))


def _is_over(server: Server | None) -> bool:
    return server is None or server.desired == "absent"


@FLOW.step
def start(run: Run[Server]) -> Outcome | Commit:
    """Choose a host, take room on it, bind the ports to it."""
    server = run.subject
    if server is None or _is_over(server):
        return Done()
    wish = Wish.of(server)
    verdict = run.read(lambda tx: placement.judge(tx, wish))
    if not verdict.best and run.read(lambda tx: tx.get(Allocation, run.subject_id)) is None:
        looks = int(run.data.get("looks", 0))
        if verdict.may_pass and looks < MOST_LOOKS:
            return Wait(LOOK_SECONDS, "the hosts that would fit are not heard of", {"looks": looks + 1})
        return Fail(500, verdict.sentence(wish))

    def commit(tx: Tx) -> Outcome:
        host_id = placement.claim(tx, server, verdict.best)
        if host_id is None:
            return Goto("start")  # others took the room that was found: judge anew
        host = tx.execute(select(Host).where(Host.id == host_id)).scalar_one()
        network_public.bind_ports(tx, server.id, host.name, host.chassis)
        return Goto("disks")

    return commit


@FLOW.step
def disks(run: Run[Server]) -> Outcome | Commit:
    """Make the root disk, and wait for the volumes."""
    server = run.subject
    if server is None or _is_over(server):
        return Done()
    obstacle = _root(run, server) or _volumes(run, server)
    if obstacle is not None:
        return obstacle

    def commit(tx: Tx) -> Outcome:
        locked = run.lock(tx)
        if locked is None:
            return Done()
        locked.prepared = True
        host_id = tx.execute(select(Allocation.host_id).where(Allocation.server_id == locked.id)).scalar_one()
        wake(tx, host_topic(host_id))
        return Goto("spawn")

    return commit


def _root(run: Run[Server], server: Server) -> Outcome | None:
    """The clone of the image, or why there is none yet."""
    if server.image_id is None or server.prepared:
        return None
    image_id = server.image_id
    boot = run.read(lambda tx: image_public.boot_image(tx, image_id))
    if boot is None:
        return Fail(500, f"Image {image_id} is gone.")
    if boot.failure:
        return Fail(500, f"Image {image_id} is unacceptable: {boot.failure}")
    if not boot.ready:
        return Wait(1, f"the raw form of image {image_id} is being made")
    source = SnapshotName(boot.pool, boot.rbd_image, boot.snapshot)
    store = store_of(run)
    try:
        store.ensure_root(server.id, source, boot.size, server.root_gib * GIB, run.fence)
        if run.fence > 1:  # an earlier claim may have left half a clone
            store.ensure_unfinished_gone(server.id, run.fence)
    except StoreNotFound:
        return Fail(500, f"The data of image {image_id} is gone.")
    return None


def _volumes(run: Run[Server], server: Server) -> Outcome | None:
    found = run.read(lambda tx: volume_public.attachments_of(tx, [server.id])).get(server.id, [])
    broken = [item for item in found if item.failure]
    if broken:
        return Fail(500, f"Volume {broken[0].volume_id} could not be made: {broken[0].failure}")
    waiting = [item.volume_id for item in found if not item.ready]
    return Wait(1, f"volumes {', '.join(waiting)} are being made") if waiting else None


@FLOW.step
def spawn(run: Run[Server]) -> Outcome | Commit:
    """Wait for the report that it has run; the agent's loop needs nothing more from here."""

    def commit(tx: Tx) -> Outcome:
        server = run.lock(tx)  # a report that comes after this finds the job waiting, and hastens it
        if server is None or server.desired != "running" or server.launched_at is not None or server.fault is not None:
            return Done()
        return Wait(20, server.pending_reason or "its host has not started it yet")

    return commit


@FLOW.on_fail
def give_back(tx: Tx, server: Server) -> None:
    """A server whose host was never told to start it takes no room there. One that it may have started keeps it until it is deleted."""
    actions.finish(tx, server.id, "create", message=server.fault["message"] if server.fault else None)
    if not server.prepared:
        placement.release(tx, server.id)
        network_public.unbind_ports(tx, server.id)
