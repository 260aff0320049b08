"""What the shapes of answers are made of. They say types and what is always there; bounds are for what comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.api.shapes import Shape, array, obj

STRING: Shape = {"type": "string"}
OPTIONAL_STRING: Shape = {"type": ["string", "null"]}
FLAG: Shape = {"type": "boolean"}
NUMBER: Shape = {"type": "integer"}
OPTIONAL_NUMBER: Shape = {"type": ["integer", "null"]}
NULL: Shape = {"type": "null"}
ANY_OBJECT: Shape = {"type": "object"}
STRINGS = array(STRING)


def always(properties: Mapping[str, Any], sometimes: Mapping[str, Any] | None = None) -> Shape:
    """An object that always has `properties`, sometimes those of `sometimes`, and no others."""
    return obj({**properties, **(sometimes or {})}, required=tuple(properties))


def nullable(shape: Shape) -> Shape:
    """This, or null."""
    return {"anyOf": [shape, NULL]}


def mapped(shape: Shape) -> Shape:
    """An object whose keys are anybody's, each with this."""
    return {"type": "object", "additionalProperties": shape}


LINK = always({"rel": STRING, "href": STRING}, {"type": STRING})
LINKS = array(LINK)
TEXTS = mapped(STRING)
EXTENSION = always({"alias": STRING, "name": STRING, "description": STRING, "updated": STRING, "links": LINKS}, {"namespace": STRING})


def page(collection: str, shape: Shape) -> Shape:
    """A list, and where there is more the link to it."""
    return always({collection: array(shape)}, {f"{collection}_links": LINKS})
