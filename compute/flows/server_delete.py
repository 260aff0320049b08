"""server.delete: wait until the host has reported the server gone, then take away all that was its own.

It works in every state: it takes over the job of whatever was under way, and trusts no note of how far that came.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import delete, select

from common.auth import Actor
from common.db import Tx, lock_projects, wake
from common.errors import ApiError
from common.jobs import Done, Flow, Goto, Outcome, Run, Wait
from common.jobs.flow import Commit
from common.rbd import StoreBusy
from compute import placement
from compute.engine import store_of
from compute.models import Allocation, Host, Server
from compute.names import host_topic
from compute.service import actions
from network import public as network_public
from volume import public as volume_public

LOG = logging.getLogger(__name__)
FLOW: Flow[Server] = Flow("server.delete", Server, deadline=timedelta(hours=1), at_deadline="park")
LOOK_AGAIN_SECONDS = 10
BUSY_SECONDS = 2


@FLOW.step
def start(run: Run[Server]) -> Outcome | Commit:
    """Ask the host, if there is one, to let go of the server."""
    if run.subject is None:
        return Done()

    def commit(tx: Tx) -> Outcome:
        host_id = tx.execute(select(Allocation.host_id).where(Allocation.server_id == run.subject_id)).scalar()
        if host_id is None:
            return Goto("release")
        wake(tx, host_topic(host_id))
        return Goto("host")

    return commit


@FLOW.step
def host(run: Run[Server]) -> Outcome | Commit:
    """Wait for the host's word that nothing of the server is left on it. While the host is down, the API hides the server."""

    def commit(tx: Tx) -> Outcome:
        asked = select(placement.is_up()).join(Allocation, Allocation.host_id == Host.id).where(Allocation.server_id == run.subject_id)
        up = tx.execute(asked).scalar()
        server = run.lock(tx)
        if server is None:
            return Done()
        if server.observed_state == "absent" and server.reported_generation >= server.generation:
            return Goto("release")
        server.hidden = server.hidden or not up
        return Wait(LOOK_AGAIN_SECONDS, "its host has not reported it gone" if up else "its host is down")

    return commit


@FLOW.step
def release(run: Run[Server]) -> Outcome | Commit:
    """Remove the root disk, then ports, attachments, allocation and the row, in one transaction."""
    server = run.subject
    if server is None:
        return Done()
    pause = run.wait_out()
    if pause is not None:
        return pause
    try:
        store_of(run).ensure_gone(server.id)
    except StoreBusy:
        return Wait(BUSY_SECONDS, "its root disk is still open somewhere")

    def commit(tx: Tx) -> Outcome:
        lock_projects(tx, server.project_id)
        locked = run.lock(tx)
        if locked is None:
            return Done()
        network_public.release_ports(tx, locked.id)
        _let_volumes_go(tx, run, locked)
        host_id = placement.release(tx, locked.id)
        if host_id is not None:  # what only this server needed there, its networks' metadata, need not wait for the host's next look
            wake(tx, host_topic(host_id))
        tx.execute(delete(Server).where(Server.id == locked.id))
        actions.finish(tx, locked.id, "create", "delete")
        return Done()

    return commit


def _let_volumes_go(tx: Tx, run: Run[Server], server: Server) -> None:
    owner = Actor(user_id=run.actor or server.user_id, project_id=server.project_id, roles=frozenset({"admin"}))
    for item in volume_public.attachments_of(tx, [server.id]).get(server.id, []):
        volume_public.detached(tx, item.id)
        if item.delete_on_termination:
            try:
                volume_public.delete_volume(tx, owner, item.volume_id)
            except ApiError as error:  # it has snapshots, or is gone: the server goes all the same
                LOG.warning("volume %s stays: %s", item.volume_id, error.message)
