"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.config import CONF
from common.db import Database
from tests.support.identity import Cloud, cheap_hashes


@pytest.fixture
def cloud(db: Database) -> Iterator[Cloud]:
    """A bootstrapped identity whose process remembers nothing."""
    CONF.set_override("check_cache_seconds", 0.0, "identity")
    try:
        with cheap_hashes():
            yield Cloud(db)
    finally:
        CONF.clear_override("check_cache_seconds", "identity")
