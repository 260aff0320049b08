"""What the answers of identity are made of: a resource with its id and links, alone or in a list; and what every list can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.api.shapes import TEXT, Shape, array, obj, wrapped

STRING: Shape = {"type": "string"}
OPTIONAL_STRING: Shape = {"type": ["string", "null"]}
FLAG: Shape = {"type": "boolean"}
SELF = obj({"self": STRING}, required=("self",))
PAGES = obj({"self": STRING, "next": OPTIONAL_STRING, "previous": OPTIONAL_STRING}, required=("self", "next", "previous"))
PAGING: Mapping[str, Shape] = {"limit": {"type": "string", "pattern": r"^[0-9]{1,18}$"}, "marker": TEXT}


def resource(properties: Mapping[str, Any], *required: str, extra: bool = False) -> Shape:
    """A resource: its id, its link, its attributes; `extra`: and those that a client invented."""
    return obj({"id": STRING, "links": SELF, **properties}, required=("id", "links", *required), extra=extra)


def shown(name: str, shape: Shape) -> Shape:
    """The answer that shows one."""
    return wrapped(name, shape)


def listed(name: str, shape: Shape) -> Shape:
    """The answer that lists some."""
    return obj({name: array(shape), "links": PAGES}, required=(name, "links"))


def changed(name: str, properties: Mapping[str, Any], *, extra: bool = False) -> Shape:
    """The body of a change: at least one attribute. The id may be repeated."""
    return wrapped(name, {**obj({"id": TEXT, **properties}, extra=extra), "minProperties": 1})
