"""The commands. Here, and only here, the services are put together; they are named, not imported."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

SERVICES = ("identity", "image", "volume", "network", "compute")


def room(service: str, name: str) -> Any | None:
    """The module `<service>.<name>`, or None where the service has no such room."""
    full = f"{service}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None
