"""What compute does in a worker: its flows, its engine, and the agents' questions."""

from __future__ import annotations

from common import trash
from common.cmd.worker import Parts
from common.rbd import BlockStore, cluster
from compute.flows import server_create, server_delete
from compute.names import AGENTS, POOL
from compute.service import actions
from compute.service.agents import AgentEndpoint

FORGET_SECONDS = 6 * 3600.0


def contribute(parts: Parts) -> None:
    """Add to a worker what it needs for servers."""
    parts.flows += [server_create.FLOW, server_delete.FLOW]
    parts.engines.add(BlockStore, cluster())
    parts.sweeps.append(("server-actions", FORGET_SECONDS, lambda: parts.db.run(actions.forget)))
    trash.sweep(parts, cluster(), POOL)
    parts.endpoints.setdefault(AGENTS, []).append(AgentEndpoint(parts.db))
