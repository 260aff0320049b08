"""The sweep of RBD's trash: what flows put there is removed here, object by object, for as long as it takes; no job waits for it."""

from __future__ import annotations

from common import epoch
from common.cmd.worker import Parts
from common.db import Database
from common.rbd import BlockStore

SECONDS = 10.0


def sweep(parts: Parts, blocks: BlockStore, pool: str) -> None:
    """Have a worker empty the trash of `pool` every few seconds."""
    parts.sweeps.append((f"{pool}-trash", SECONDS, lambda: empty(parts.db, blocks, pool)))


def empty(db: Database, blocks: BlockStore, pool: str) -> None:
    """After a restore of the database nothing is removed until an operator says so: what looks deleted may be wanted back."""
    if db.run(epoch.current).sweeping:
        blocks.purge(pool)
