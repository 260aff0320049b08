"""Medians and how they are printed: every bench says its figures in the same words."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def timed(work: Callable[[], object], times: int, *, warm: int = 1) -> list[float]:
    """Seconds of each call, after `warm` that do not count."""
    found = []
    for n in range(times + warm):
        start = time.perf_counter()
        work()
        if n >= warm:
            found.append(time.perf_counter() - start)
    return found


def say(what: str, values: Sequence[float], unit: str = "ms", scale: float = 1000.0, target: str = "") -> float:
    """Print median, p95 and count; the median in `unit`."""
    ordered = sorted(value * scale for value in values)
    median = statistics.median(ordered)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    print(
        f"{what}: median {median:.2f} {unit}, p95 {p95:.2f} {unit}, min {ordered[0]:.2f}, n={len(ordered)}{'   target ' + target if target else ''}"
    )
    return median
