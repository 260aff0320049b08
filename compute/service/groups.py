"""The security groups of a server: those of its ports. The rows are the network service's."""

from __future__ import annotations

from common.auth import Actor
from common.db import Tx
from common.errors import NotFound
from compute.service import power, servers
from network import public as network_public
from network.public import GroupView


def of_server(tx: Tx, actor: Actor, server_id: str) -> list[GroupView]:
    """The server's groups with their rules. Raises NotFound."""
    return network_public.security_groups_of(tx, servers.get(tx, actor, server_id).id)


def add(tx: Tx, actor: Actor, server_id: str, name: str) -> None:
    """The group, by name or id, holds for all ports of the server. Raises NotFound (server, group), Conflict (a name twice)."""
    server = servers.get(tx, actor, server_id)
    network_public.add_security_group(tx, actor, server.id, name)
    power.wake_host(tx, server.id)


def remove(tx: Tx, actor: Actor, server_id: str, name: str) -> None:
    """The group holds for no port of the server. Raises NotFound (server, group, not the server's), Conflict (a name twice)."""
    server = servers.get(tx, actor, server_id)
    if not network_public.remove_security_group(tx, actor, server.id, name):
        raise NotFound(f"Security group {name} not associated with the instance {server.id}")
    power.wake_host(tx, server.id)
