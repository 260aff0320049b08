"""Shapes of quotas, limits, zones and extensions."""

from __future__ import annotations

from common.api.answer_shapes import EXTENSION, FLAG, NUMBER, STRING, always
from common.api.shapes import Shape, array, integer, obj, wrapped
from volume.service.quotas import DEFAULTS

UPDATE = wrapped("quota_set", obj({**dict.fromkeys(DEFAULTS, integer(-1)), "tenant_id": {}, "project_id": {}, "id": {}, "force": {}}))

_USAGE = always({"limit": NUMBER, "in_use": NUMBER, "reserved": NUMBER})
_QUOTAS = always({"id": STRING, **dict.fromkeys(DEFAULTS, NUMBER)})
QUOTAS = wrapped("quota_set", _QUOTAS)
QUOTAS_OR_USAGE = wrapped("quota_set", {"anyOf": [_QUOTAS, always({"id": STRING, **dict.fromkeys(DEFAULTS, _USAGE)})]})
NEW_QUOTAS = wrapped("quota_set", always(dict.fromkeys(DEFAULTS, NUMBER)))

ZONES = always({"availabilityZoneInfo": array(always({"zoneName": STRING, "zoneState": always({"available": FLAG})}))})
EXTENSIONS, ONE_EXTENSION = always({"extensions": array(EXTENSION)}), always({"extension": EXTENSION})


def limits(*names: str) -> Shape:
    """The project's limits and what it has of them, under `names`; none is a rate."""
    return wrapped("limits", always({"rate": array({}, maxItems=0), "absolute": always(dict.fromkeys(names, NUMBER))}))
