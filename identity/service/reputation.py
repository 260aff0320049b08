"""Who may have the first lane of the hashing pool, as this process remembers it; only a right password is told from there.

Who was right from an address lately is known there. Whoever else comes is new, and has one try until it was right or is forgotten.
"""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict

from common.clock import boottime

# For how long a new user's try counts, right or not yet known; for how long, and until how many wrong ones, somebody is known who was right.
TRY_SECONDS, KNOWN_SECONDS, SLIPS = 600.0, 12 * 3600.0, 3
# How many users, and users at an address, are remembered.
MOST = 16384


class Standing(enum.Enum):
    """What is known of a user at an address."""

    KNOWN = "was right lately"
    NEW = "has not been tried"
    TRIED = "was tried, and has not been right since"


class Reputation:
    """Memory of right and wrong passwords. Bounded: what is oldest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._right: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._tried: OrderedDict[str, float] = OrderedDict()

    def ask(self, address: str, user_id: str) -> Standing:
        """What is known of the user, who is about to be tried from the address."""
        with self._lock:
            until, slips = self._right.get((address, user_id), (0.0, 0))
            if until > boottime() and slips < SLIPS:
                return Standing.KNOWN
            if self._tried.get(user_id, 0.0) > boottime():
                return Standing.TRIED
            self._tried.pop(user_id, None)
            self._tried[user_id] = boottime() + TRY_SECONDS
            _bound(self._tried)
            return Standing.NEW

    def forgive(self, user_id: str) -> None:
        """The try came to nothing: nobody compared it."""
        with self._lock:
            self._tried.pop(user_id, None)

    def note(self, address: str, user_id: str, *, right: bool) -> None:
        """What came of it."""
        key = (address, user_id)
        with self._lock:
            known = self._right.pop(key, None)
            if right:
                self._tried.pop(user_id, None)
                self._right[key] = (boottime() + KNOWN_SECONDS, 0)
            elif known is not None:
                self._right[key] = (known[0], known[1] + 1)
            _bound(self._right)


def _bound(memory: OrderedDict[str, float] | OrderedDict[tuple[str, str], tuple[float, int]]) -> None:
    while len(memory) > MOST:
        memory.popitem(last=False)
