"""Names that compute gives to things outside: RBD images of root disks, and topics of the bus."""

from __future__ import annotations

POOL = "vms"
AGENTS = "agents"


def disk_name(server_id: str) -> str:
    """The RBD image of a server's root disk."""
    return f"{server_id}_disk"


def host_topic(host_id: str) -> str:
    """Where the agent of a host listens for wakes."""
    return f"host.{host_id}"
