"""Fixtures of the compute API's tests."""

from __future__ import annotations

import pytest

from common.db import Database
from tests.support.compute import World, world


@pytest.fixture
def template() -> str:
    """Without identity."""
    return "wolke_template"


@pytest.fixture
def cloud(db: Database) -> World:
    """A small cloud with one host."""
    return world(db)
