"""Shapes of flavors, their extra specs and who may use them."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import FLAG, LINKS, NUMBER, STRING, TEXTS, always, page
from common.api.shapes import Shape, array, wrapped

_BRIEF: dict[str, Any] = {"id": STRING, "name": STRING, "links": LINKS}
# Without swap, and only then, `swap` is an empty text.
_FLAVOR = always({
    **_BRIEF, "ram": NUMBER, "disk": NUMBER, "vcpus": NUMBER, "swap": {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": [""]}]},
    "OS-FLV-EXT-DATA:ephemeral": NUMBER, "OS-FLV-DISABLED:disabled": FLAG, "os-flavor-access:is_public": FLAG,
    "rxtx_factor": {"type": "number"},
})  # fmt: skip
FLAVOR, FLAVORS, BRIEF_FLAVORS = wrapped("flavor", _FLAVOR), page("flavors", _FLAVOR), page("flavors", always(_BRIEF))

SPECS = always({"extra_specs": TEXTS})
SPEC: Shape = {**TEXTS, "minProperties": 1, "maxProperties": 1}
ACCESS = always({"flavor_access": array(always({"flavor_id": STRING, "tenant_id": STRING}))})
