"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.db import Database
from tests.support.identity import Cloud, cheap_hashes


@pytest.fixture
def cloud(db: Database) -> Iterator[Cloud]:
    """A bootstrapped identity."""
    with cheap_hashes():
        yield Cloud(db)
