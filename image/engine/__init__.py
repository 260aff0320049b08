"""Image data in RBD: the only place of the image service that talks to the block store and to qemu-img."""

from __future__ import annotations

import functools

from common.config import CONF
from common.rbd import Ceph
from image.engine.store import ImageStore

_override: list[ImageStore] = []


def engine() -> ImageStore:
    """This process's store: that of the configured cluster, or what a test put in its place."""
    return _override[-1] if _override else _configured()


def use(store: ImageStore | None) -> None:
    """Put `store` in the place of the configured one; None takes it back (tests)."""
    _override[:] = [store] if store else []


@functools.cache
def _configured() -> ImageStore:
    return ImageStore(Ceph(CONF.ceph.conf, CONF.ceph.user, timeout=CONF.ceph.timeout))
