"""The catalogue."""

from __future__ import annotations

from common.api.policy import ANYONE, Rule
from identity.policy.base import READ, managed

RULES: list[Rule] = [
    *managed("region", "regions", ANYONE, "a region"),
    *managed("service", "services", READ, "a service"),
    *managed("endpoint", "endpoints", READ, "an endpoint"),
]
