"""What a volume and its snapshots are called in RBD."""

from __future__ import annotations

POOL = "volumes"
GIB = 1 << 30


def volume_name(volume_id: str) -> str:
    """The RBD image of a volume."""
    return f"volume-{volume_id}"


def snapshot_name(snapshot_id: str) -> str:
    """The RBD snapshot of a snapshot, on its volume's image."""
    return f"snapshot-{snapshot_id}"
