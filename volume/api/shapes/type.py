"""Shapes of volume types and their extra specs."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import FLAG, NULL, OPTIONAL_STRING, STRING, TEXTS, always, page
from common.api.shapes import LOOSE_BOOLEAN, NAME, OPTIONAL_TEXT, obj, wrapped
from volume.api.shapes.metadata import META

PUBLIC = "os-volume-type-access:is_public"
CREATE = wrapped(
    "volume_type", obj({"name": NAME, "description": OPTIONAL_TEXT, "extra_specs": META, PUBLIC: LOOSE_BOOLEAN}, required=("name",))
)
UPDATE = wrapped(
    "volume_type",
    obj({"name": {**NAME, "type": ["string", "null"]}, "description": OPTIONAL_TEXT, "is_public": LOOSE_BOOLEAN, PUBLIC: LOOSE_BOOLEAN}),
)
SPECS_IN = wrapped("extra_specs", {**META, "type": "object"})

_NEW: dict[str, Any] = {"id": STRING, "name": STRING, "description": OPTIONAL_STRING, "is_public": FLAG, PUBLIC: FLAG}
_TYPE = always({**_NEW, "qos_specs_id": NULL}, {"extra_specs": TEXTS})
TYPE, TYPES = wrapped("volume_type", _TYPE), page("volume_types", _TYPE)
NEW_TYPE = wrapped("volume_type", always(_NEW, {"extra_specs": TEXTS}))
SPECS = always({"extra_specs": TEXTS})
# Of a type that is not encrypted, which every type is.
ENCRYPTION = always({})
