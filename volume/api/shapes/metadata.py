"""Shapes of metadata: whole, and one key of it."""

from __future__ import annotations

from common.api.answer_shapes import TEXTS, always
from common.api.shapes import Shape, wrapped

# Metadata as Cinder takes it: numbers and booleans come back as the text they are.
META_VALUE: Shape = {"type": ["string", "number", "boolean", "null"], "maxLength": 255, "pattern": r"^[^\u0000]*$"}
META: Shape = {
    "type": ["object", "null"], "maxProperties": 128, "additionalProperties": META_VALUE,
    "propertyNames": {"minLength": 1, "maxLength": 255, "pattern": r"^[^\u0000]+$"},
}  # fmt: skip
METADATA_IN = wrapped("metadata", {**META, "type": "object"})
ONE_IN: Shape = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": META_VALUE}
ITEM_IN = wrapped("meta", ONE_IN)

ONE: Shape = {**TEXTS, "minProperties": 1, "maxProperties": 1}
METADATA, ITEM = always({"metadata": TEXTS}), always({"meta": ONE})
