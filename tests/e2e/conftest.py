"""Fixtures of the end-to-end tests: they want the cloud of devstack/stack.sh up, and say so where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cloud import STATE, Cli, run
from tests.e2e.leftovers import holdings, nothing_left


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(3000))
            for theirs in ("DeprecationWarning", "PendingDeprecationWarning", "UserWarning"):  # the clients'
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{theirs}"))


@pytest.fixture(scope="session", autouse=True)
def stack():
    """The cloud is up."""
    if not (STATE / "service").is_dir():
        pytest.fail("there is no cloud: run devstack/stack.sh first")
    for cloud in ("devstack", "devstack-alt", "devstack-admin"):
        Cli(cloud)("security group list")  # the first use of a project makes its default group, which stays


@pytest.fixture
def demo() -> Cli:
    """The CLI as the tenant demo."""
    return Cli("devstack")


@pytest.fixture
def alt() -> Cli:
    """The CLI as another tenant."""
    return Cli("devstack-alt")


@pytest.fixture
def admin() -> Cli:
    """The CLI as the cloud's admin."""
    return Cli("devstack-admin")


@pytest.fixture
def clean():
    """What the engines hold before the test, they hold after it."""
    before = holdings()
    yield before
    nothing_left(before)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private ssh key; `.pub` beside it."""
    path = tmp_path / "key"
    run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)])
    return path
