"""What the access rules of an application credential let its token ask for at all; for `common.api.app`, before anything else is looked at.

As keystonemiddleware reads them: in a path `*` and `{name}` are one segment or a part of it, `**` is anything; the method must be the
very same (a rule for GET is none for HEAD); without a rule that fits, the answer is 401.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import falcon

from common.auth import Actor
from common.errors import Unauthorized

# The types that a service has in the catalogue, where they are not its name.
TYPES = {"volume": ("block-storage", "volumev3")}
# A token may always be looked at: services ask for that.
VALIDATION = "/v3/auth/tokens"


def check(service: str, http: falcon.Request, actor: Actor) -> None:
    """Raise Unauthorized where the actor's token has access rules, and none fits this request to `service`."""
    rules = actor.delegation.access_rules if actor.delegation is not None else None
    if rules is None:
        return
    path = http.root_path + http.path
    if service == "identity" and http.method == "GET" and path.endswith(VALIDATION):
        return
    types = TYPES.get(service, (service,))
    if not any(kind in types and method == http.method and matches(pattern, path) for kind, method, pattern in rules):
        raise Unauthorized


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A path with wildcards as sets of positions, bit by bit: which of its pieces are this character, a part of a segment, anything."""

    literals: dict[str, int]
    segments: int
    anything: int
    length: int


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> _Pattern:
    literals: dict[str, int] = {}
    segments = anything = length = at = 0
    while at < len(pattern):
        bit, char = 1 << length, pattern[at]
        end = pattern.find("}", at) if char == "{" else -1
        if pattern.startswith("**", at):
            at += 2
            if anything & (bit >> 1):
                continue
            anything |= bit
        elif char == "*" or end > at:
            at = max(at, end) + 1
            segments |= bit
        else:
            at += 1
            literals[char] = literals.get(char, 0) | bit
        length += 1
    return _Pattern(literals, segments, anything, length)


def matches(pattern: str, path: str) -> bool:
    """Whether the whole of `path` is what `pattern` describes, in a time that only the path's length decides."""
    known = _compiled(pattern)
    reached = _past_anything(1, known)
    for char in path:
        step = (reached & known.literals.get(char, 0)) << 1 | reached & (known.anything << 1)
        if char != "/":
            step |= (reached & known.segments) << 1 | reached & (known.segments << 1)
        reached = _past_anything(step, known)
        if not reached:
            return False
    return bool(reached >> known.length & 1)


def _past_anything(reached: int, known: _Pattern) -> int:
    """`**` may also be nothing. Two never stand side by side."""
    return reached | (reached & known.anything) << 1
