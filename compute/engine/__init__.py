"""Root disks in RBD: the only place of the controller's side of compute that talks to the block store."""

from __future__ import annotations

from typing import Any

from common.jobs import Run
from common.rbd import BlockStore
from compute.engine.disks import DiskStore


def store_of(run: Run[Any]) -> DiskStore:
    """The store of the worker that runs a step."""
    return DiskStore(run.engine(BlockStore))  # type: ignore[type-abstract]
