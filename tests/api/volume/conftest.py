"""Fixtures of the volume API's tests: the API on a real PostgreSQL and the in-memory store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from common.db import Database
from common.rbd import BlockStore
from common.rbd_memory import Memory
from tests.support.api import Client, client
from tests.support.volume import FLOWS
from tests.support.work import run_jobs
from volume.api import SERVICE


@pytest.fixture
def blocks() -> Memory:
    return Memory()


@pytest.fixture
def api(db: Database) -> Client:
    return client(SERVICE, db)


@pytest.fixture
def work(db: Database, blocks: Memory) -> Callable[[], int]:
    return lambda: run_jobs(db, FLOWS, (BlockStore, blocks))
