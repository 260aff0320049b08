"""What the nouns' answers have in common: the standard attributes, `fields`, links to pages, bulk creation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.api.answer_shapes import NUMBER, STRING, always, page
from common.api.shapes import Shape, array, obj, wrapped

NAMELESS: Mapping[str, Shape] = {
    "id": STRING, "description": STRING, "project_id": STRING, "tenant_id": STRING, "created_at": STRING, "updated_at": STRING,
    "revision_number": NUMBER,
}  # fmt: skip
STANDARD: Mapping[str, Shape] = {**NAMELESS, "name": STRING}
STATUS: Shape = {"enum": ["ACTIVE", "ERROR"]}
WIRED: Shape = {"enum": ["ACTIVE", "DOWN", "ERROR"]}
FIXED_IPS = array(always({"subnet_id": STRING, "ip_address": STRING}))


@dataclass(frozen=True)
class Answers:
    """Of a noun: `one` and `many` as they are looked at, where `fields` may choose; `made` and `changed`, which are whole, as is `whole`."""

    one: Shape
    many: Shape
    made: Shape
    changed: Shape
    whole: Shape


def answers(name: str, collection: str, properties: Mapping[str, Any], sometimes: Mapping[str, Any] | None = None) -> Answers:
    """The answers of a noun that always has `properties`, sometimes those of `sometimes`, and no others."""
    shape = obj({**properties, **(sometimes or {})})
    whole: Shape = {"allOf": [shape, {"required": list(properties)}]}
    return Answers(
        one=wrapped(name, shape),
        many=page(collection, shape),
        made={**obj({name: whole, collection: array(whole)}), "minProperties": 1, "maxProperties": 1},
        changed=wrapped(name, whole),
        whole=whole,
    )
