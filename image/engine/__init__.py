"""Image data in RBD: the only place of the image service that talks to the block store and to qemu-img."""

from __future__ import annotations

from typing import Any

from common.jobs import Run
from common.rbd import BlockStore, cluster
from image.engine.store import ImageStore

_override: list[ImageStore] = []


def engine() -> ImageStore:
    """This process's store: that of the configured cluster, or what a test put in its place."""
    return _override[-1] if _override else ImageStore(cluster())


def use(store: ImageStore | None) -> None:
    """Put `store` in the place of the configured one; None takes it back (tests)."""
    _override[:] = [store] if store else []


def store_of(run: Run[Any]) -> ImageStore:
    """The store of the worker that runs a step."""
    return ImageStore(run.engine(BlockStore))  # type: ignore[type-abstract]
