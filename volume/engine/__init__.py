"""Volumes in RBD: the only place of the volume service that talks to the block store."""

from __future__ import annotations

from typing import Any

from common.jobs import Run
from common.rbd import BlockStore
from volume.engine.store import VolumeStore


def store_of(run: Run[Any]) -> VolumeStore:
    """The store of the worker that runs a step."""
    return VolumeStore(run.engine(BlockStore))  # type: ignore[type-abstract]
