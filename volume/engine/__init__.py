"""Volumes in RBD: the only place of the volume service that talks to the block store."""

from __future__ import annotations

import functools

from common.config import CONF
from common.rbd import Ceph
from volume.engine.store import VolumeStore

_override: list[VolumeStore] = []


def engine() -> VolumeStore:
    """This process's store: that of the configured cluster, or what a test put in its place."""
    return _override[-1] if _override else _configured()


def use(store: VolumeStore | None) -> None:
    """Put `store` in the place of the configured one; None takes it back (tests)."""
    _override[:] = [store] if store else []


@functools.cache
def _configured() -> VolumeStore:
    return VolumeStore(Ceph(CONF.ceph.conf, CONF.ceph.user, timeout=CONF.ceph.timeout))
