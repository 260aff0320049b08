"""Fixtures of identity's stories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from identity.service import directory


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Which domains have a directory is asked once and after each change, so that no count of queries depends on the hour."""
    monkeypatch.setattr(directory, "KNOWN_SECONDS", 3600.0)
    directory.forget()
    yield
    directory.forget()
