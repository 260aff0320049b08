"""Fixtures of every test: a PostgreSQL of the run's own, and a fresh migrated database for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from common.config import CONF
from common.db import Database
from tests.support.api import Tokens
from tests.support.postgres import Postgres, running

# Each run tries the same examples, however slow the machine is; `--hypothesis-profile=search` tries others.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("search", hypothesis.settings.get_profile("same"), derandomize=False, database=None)
hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def options() -> None:
    """Every option at its default, whatever this machine's configuration says; but who writes to the state path sets one of its own."""
    CONF([], project="wolke-tests", default_config_files=[], default_config_dirs=[])
    CONF.set_default("state_path", "/dev/null/state_path")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The run's PostgreSQL."""
    with running() as server:
        yield server


@pytest.fixture
def template() -> str:
    """What `db` is a copy of."""
    return "wolke_template"


@pytest.fixture
def db(postgres: Postgres, template: str) -> Iterator[Database]:
    """A database of this test's own, migrated to the head, as its owner."""
    name = postgres.fresh(template)
    made = Database(postgres.url(name), pool_size=10)
    yield made
    made.close()
    postgres.drop(name)


@pytest.fixture
def tokens() -> Tokens:
    """Who bears which token."""
    return Tokens()
