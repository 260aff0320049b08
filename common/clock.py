"""The two clocks: CLOCK_BOOTTIME for how long this process may go on, SQL's `common.now()` (in `common.db`) for what rows say."""

from __future__ import annotations

import time


def boottime() -> float:
    """Seconds since the machine started; it runs on while the machine sleeps, and no one can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Deadline:
    """A moment of CLOCK_BOOTTIME, `seconds` from now or from `since`."""

    def __init__(self, seconds: float, *, since: float | None = None) -> None:
        self.at = (boottime() if since is None else since) + seconds

    def left(self) -> float:
        """Seconds left; never below 0."""
        return max(0.0, self.at - boottime())

    @property
    def passed(self) -> bool:
        """Whether the moment is behind us."""
        return boottime() >= self.at
