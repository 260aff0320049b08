"""Fixtures of identity's stories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from identity.service import directory, keys
from identity.service.federation import issuer


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is asked again every few seconds is asked once and after each change, so that no count depends on how fast the test runs.

    Which domains have a directory, which key signs, and which keys a provider has.
    """
    for module, name in ((directory, "KNOWN_SECONDS"), (keys, "SIGNER_SECONDS"), (issuer, "FRESH"), (issuer, "PAUSE")):
        monkeypatch.setattr(module, name, 3600.0)
    directory.forget()
    yield
    directory.forget()
