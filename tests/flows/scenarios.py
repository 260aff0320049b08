"""Every flow's scenario; `tests/flows/test_gate.py` runs each of them through the gate.

A service adds a module `tests/flows/<service>_scenarios.py` whose `SCENARIOS` lists classes of `gate.Scenario`.
"""

from __future__ import annotations

import importlib
import importlib.util

from tests.flows.gate import Scenario

MODULES = ("toy_scenarios", "image_scenarios", "volume_scenarios", "compute_scenarios")


def every() -> list[type[Scenario]]:
    """All scenarios of all services."""
    found: list[type[Scenario]] = []
    for name in MODULES:
        if importlib.util.find_spec(f"tests.flows.{name}"):
            found += importlib.import_module(f"tests.flows.{name}").SCENARIOS
    return found
