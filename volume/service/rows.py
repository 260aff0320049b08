"""Looks at rows that both the rules and the flows take."""

from __future__ import annotations

from sqlalchemy import exists, select

from common.db import Tx
from volume.models import Snapshot


def has_snapshots(tx: Tx, volume_id: str) -> bool:
    """Whether a snapshot's row is still there, whatever it wishes."""
    return bool(tx.execute(select(exists().where(Snapshot.volume_id == volume_id))).scalar())
