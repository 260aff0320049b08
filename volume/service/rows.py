"""Looks at rows that both the rules and the flows take."""

from __future__ import annotations

from sqlalchemy import exists, select

from common.db import Tx
from volume.models import Snapshot, Volume


def is_being_copied(tx: Tx, snapshot_id: str) -> bool:
    """Whether a volume is still to be made from this snapshot."""
    made_from = (Volume.snapshot_id == snapshot_id, Volume.desired == "present", Volume.observed_generation == 0)
    return bool(tx.execute(select(exists().where(*made_from))).scalar())


def has_snapshots(tx: Tx, volume_id: str) -> bool:
    """Whether a snapshot's row is still there, whatever it wishes."""
    return bool(tx.execute(select(exists().where(Snapshot.volume_id == volume_id))).scalar())
