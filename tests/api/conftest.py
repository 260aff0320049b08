"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.config import CONF
from common.db import Database
from tests.support.identity import Cloud, bootstrapped_template, cheap_hashes
from tests.support.postgres import Postgres


@pytest.fixture(scope="session")
def with_identity(postgres: Postgres) -> str:
    """The database that a bootstrapped one is a copy of: the bootstrap costs as much as many a test."""
    return bootstrapped_template(postgres)


@pytest.fixture
def template(request: pytest.FixtureRequest) -> str:
    """A bootstrapped identity for who asks for `cloud`."""
    return request.getfixturevalue("with_identity") if "cloud" in request.fixturenames else "wolke_template"


@pytest.fixture
def cloud(db: Database) -> Iterator[Cloud]:
    """A bootstrapped identity whose process remembers nothing."""
    CONF.set_override("check_cache_seconds", 0.0, "identity")
    try:
        with cheap_hashes():
            yield Cloud(db, bootstrapped=True)
    finally:
        CONF.clear_override("check_cache_seconds", "identity")
