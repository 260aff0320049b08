"""What compute does in a worker: its flows, its engine, and the agents' questions."""

from __future__ import annotations

from common.cmd.worker import Parts
from common.config import CONF
from common.rbd import Ceph
from compute.engine.disks import DiskStore
from compute.flows import server_create, server_delete
from compute.names import AGENTS
from compute.service.agents import AgentEndpoint


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for servers."""
    parts.flows += [server_create.FLOW, server_delete.FLOW]
    parts.engines.add(DiskStore, DiskStore(Ceph(CONF.ceph.conf, CONF.ceph.user, timeout=CONF.ceph.timeout)))
    parts.endpoints.setdefault(AGENTS, []).append(AgentEndpoint(parts.db))
