"""Block stores for the contract suites: the in-memory twin, and a real Ceph.

`WOLKE_TEST_CEPH=CONF:USER` names a cluster that is there; without it one is started in a directory of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from common.rbd import BlockStore, Ceph, StoreBusy, StoreNotFound
from common.rbd_memory import Memory
from common.rbd_steps import ensure_gone
from tests.support.ceph import running
from tests.support.engines import Hypervisor, hypervisor

POOLS = ("vms", "volumes", "images")
SECONDS = 900  # the first test to ask for a Ceph or for a hypervisor starts it, beside another run and on a busy machine


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Ceph]:
    """A real cluster."""
    named = os.environ.get("WOLKE_TEST_CEPH")
    if named:
        conf, _, user = named.rpartition(":")
        yield Ceph(conf, user, timeout=120)
        return
    with running() as cluster:
        store = Ceph(str(cluster.conf), cluster.user, timeout=120)
        yield store
        store.close()


@pytest.fixture
def ceph(cluster: Ceph) -> Ceph:
    """The cluster; one of the run's own without what earlier tests left, but for what a killed client still watches."""
    if os.environ.get("WOLKE_TEST_CEPH"):
        return cluster
    for _ in range(3):  # clones go before what they were made of, across the pools
        for pool in POOLS:
            for name in cluster.names(pool):
                with suppress(StoreBusy, StoreNotFound):
                    ensure_gone(cluster, pool, name)
        if not sum([cluster.purge(pool) for pool in POOLS]):
            break
    return cluster


@pytest.fixture(params=["memory", "ceph"])
def blocks(request: pytest.FixtureRequest) -> BlockStore:
    if request.param == "memory":
        return Memory()
    store: BlockStore = request.getfixturevalue("ceph")
    return store


@pytest.fixture(scope="session")
def host() -> Iterator[Hypervisor]:
    """A whole hypervisor: the last one of devstack's."""
    with hypervisor() as found:
        yield found
