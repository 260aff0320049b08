"""The parameters that identity's lists share."""

from __future__ import annotations

from common.api.shapes import NO_NUL, Shape
from identity.api.shapes.answers import PAGING
from identity.service.rows import MATCHES

WORD: Shape = {"type": "string", "maxLength": 65535, "pattern": NO_NUL}
# What it says is read by Query.flag; present without a value it is true.
TRUTH: Shape = {"type": "string", "maxLength": 5}


def queried(*texts: str, flags: tuple[str, ...] = ()) -> dict[str, Shape]:
    """The parameters of a list: `texts`, each also as `name__contains` and the like, `flags`, and the page's."""
    found: dict[str, Shape] = {}
    for name in texts:
        found |= {name: WORD, **{f"{name}__{match}": WORD for match in MATCHES}}
    return {**found, **dict.fromkeys(flags, TRUTH), **PAGING}
