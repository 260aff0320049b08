"""Our shapes as standard JSON Schema (2020-12, patterns as ECMA-262), as the API document shows them to whoever reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from common.api.shapes import Shape

Schema = dict[str, Any]
_NO_CASE = re.compile(r"\(\?a?i:([^()]*)\)")


class Schemas:
    """Translates shapes. Those of `resources`, by name, are kept once, under it, and referred to."""

    def __init__(self, resources: Mapping[str, Shape] | None = None) -> None:
        self._names = {canonical(shape): name for name, shape in (resources or {}).items()}
        self.named: dict[str, Schema] = {}

    def standard(self, shape: Shape) -> Schema:
        """The shape as everybody else's validator understands it."""
        made: Schema = _number(_pattern({key: self._part(key, value) for key, value in _named(shape).items()}))
        if made.get("required") == []:
            del made["required"]
        name = self._names.get(canonical(shape))
        if name is None:
            return made
        self.named[name] = made
        return {"$ref": f"#/components/schemas/{name}"}

    def _part(self, key: str, value: Any) -> Any:
        """What a keyword says: one schema, several, or no schema at all."""
        if key in ("properties", "patternProperties", "$defs", "dependentSchemas"):
            return {name: self._inner(inner) for name, inner in value.items()}
        if key in ("anyOf", "allOf", "oneOf", "prefixItems"):
            return [self._inner(inner) for inner in value]
        if key in ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else", "contains"):
            return self._inner(value)
        return list(value) if isinstance(value, tuple) else value

    def _inner(self, value: Any) -> Any:
        return self.standard(value) if isinstance(value, Mapping) else value


def canonical(shape: Shape) -> str:
    """The same text for the same shape."""
    return json.dumps(shape, sort_keys=True)


def _named(shape: Shape) -> Shape:
    """A property that counts if a list names it: as a condition on the list."""
    lists: Mapping[str, Mapping[str, Shape]] = shape.get("x-named", {})
    conditions = {
        name: {"if": {"properties": {by: {"contains": {"const": name}}}}, "then": {"properties": {name: inner}}}
        for by, inners in lists.items()
        for name, inner in inners.items()
    }
    rest = {key: value for key, value in shape.items() if key != "x-named"}
    return {**rest, "dependentSchemas": conditions} if conditions else rest


def _pattern(schema: Schema) -> Schema:
    """Ours describe the whole text; the standard's are found anywhere in it."""
    pattern = schema.get("pattern")
    if pattern is None:
        return schema
    pattern = _NO_CASE.sub(lambda found: f"(?:{_either_case(found[1])})", pattern)
    anchored = pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern
    return {**schema, "pattern": pattern if anchored else f"^(?:{pattern})$"}


def _either_case(text: str) -> str:
    return "".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else char for char in text)


def _number(schema: Schema) -> Schema:
    """Text that says a number or a truth: as what it says where it is a parameter, which is text anyway; else with its bounds in words."""
    bounds = schema.pop("x-integer", None)
    if schema.pop("x-boolean", False):
        return {**schema, "type": "boolean"}
    if bounds is None:
        return schema
    if "pattern" not in schema:
        return {**schema, "type": "integer", **bounds}
    words = [f"{word} {bounds[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in bounds]
    return {**schema, "description": " ".join(["a whole number", *words])}
