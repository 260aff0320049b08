"""Who may have the first lane of the hashing pool, as this process remembers it; only a right password is told from there.

A user who was right from an address lately has a turn of his own there. Others share their address's turn, as long as it has not been wrong often.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from common.clock import boottime

# Wrong passwords for users that exist, of all addresses' and of one's, that are let into the first lane in so many seconds.
WINDOW, OF_ALL, OF_ONE = 60.0, 64, 8
# For how long, and until how many wrong ones, somebody is known who was right; how many are remembered.
KNOWN_SECONDS, SLIPS, MOST = 12 * 3600.0, 3, 4096
Lane = tuple[str, str]


class Reputation:
    """Memory of right and wrong passwords. Bounded: what is oldest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._right: OrderedDict[Lane, tuple[float, int]] = OrderedDict()
        self._wrong: OrderedDict[str, int] = OrderedDict()
        self._all = 0
        self._since = boottime()

    def lane(self, address: str, user_id: str) -> Lane | None:
        """Whose turn a password for this user would have in the first lane, or None: it has none. Charged until `note`."""
        with self._lock:
            until, slips = self._right.get((address, user_id), (0.0, 0))
            if until > boottime() and slips < SLIPS:
                return f"{address} {user_id}", user_id
            if boottime() > self._since + WINDOW:
                self._wrong.clear()
                self._all, self._since = 0, boottime()
            if self._all >= OF_ALL or self._wrong.get(address, 0) >= OF_ONE:
                return None
            self._all += 1
            self._wrong[address] = self._wrong.get(address, 0) + 1
            return address, user_id

    def note(self, address: str, user_id: str, *, charged: bool, right: bool) -> None:
        """What came of it. charged: `lane` had let it in."""
        key = (address, user_id)
        with self._lock:
            known = self._right.pop(key, None)
            if right:
                known = (boottime() + KNOWN_SECONDS, 0)
                if charged and self._wrong.get(address):
                    self._wrong[address] -= 1
                    self._all -= 1
            elif known is not None:
                known = (known[0], known[1] + 1)
            if known is not None:
                self._right[key] = known
            while len(self._right) > MOST:
                self._right.popitem(last=False)
