"""Shapes of quotas and limits."""

from __future__ import annotations

from common.api.answer_shapes import NUMBER, STRING, always
from common.api.shapes import Shape, array, wrapped
from compute.service.quota import DEFAULTS

_LIMITS = dict.fromkeys(DEFAULTS, NUMBER)
_USAGE = always({"limit": NUMBER, "in_use": NUMBER, "reserved": NUMBER})
QUOTAS, NEW_QUOTAS = wrapped("quota_set", always({"id": STRING, **_LIMITS})), wrapped("quota_set", always(_LIMITS))
QUOTAS_IN_DETAIL = wrapped("quota_set", always({"id": STRING, **dict.fromkeys(DEFAULTS, _USAGE)}))


def limits(*names: str) -> Shape:
    """The project's limits and usage, under `names`; none is a rate."""
    return wrapped("limits", always({"rate": array({}, maxItems=0), "absolute": always(dict.fromkeys(names, NUMBER))}))
