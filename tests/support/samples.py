"""The smallest value that a shape takes: bodies for tests that go through every operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMATS = {
    "uuid": "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f", "ip": "10.0.0.9", "cidr": "10.0.0.0/24", "mac": "fa:16:3e:00:00:01", "base64": "aGk=",
}  # fmt: skip


def sample(shape: Mapping[str, Any]) -> Any:
    """A value of `shape`, as small as can be; what is only sometimes needed is left out."""
    if "enum" in shape:
        return shape["enum"][0]
    if "const" in shape:
        return shape["const"]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in shape and "type" not in shape:
            return sample(shape[choice][0])
    kind = shape.get("type", "object" if "properties" in shape else "null")
    kind = kind[0] if isinstance(kind, list) else kind
    return {"object": _object, "array": _array, "string": _string, "integer": _number, "number": _number}.get(kind, _plain)(shape)


def _object(shape: Mapping[str, Any]) -> dict[str, Any]:
    properties = shape.get("properties", {})
    wanted = list(shape.get("required", ()))
    spare = [name for name in properties if name not in wanted]
    wanted += spare[: max(0, shape.get("minProperties", 0) - len(wanted))]
    made = {name: sample(properties.get(name, {"type": "string"})) for name in wanted}
    for choice in ("anyOf", "oneOf"):
        for name in (shape.get(choice) or [{}])[0].get("required", ()):
            made.setdefault(name, sample(properties.get(name, {"type": "string"})))
    if len(made) < shape.get("minProperties", 0):
        made["x"] = sample(shape.get("additionalProperties") or {"type": "string"})
    return made


def _array(shape: Mapping[str, Any]) -> list[Any]:
    return [sample(shape.get("items", {})) for _ in range(shape.get("minItems", 0))]


def _string(shape: Mapping[str, Any]) -> str:
    return FORMATS.get(shape.get("format", ""), "x" * max(1, shape.get("minLength", 1)))


def _number(shape: Mapping[str, Any]) -> int:
    return int(shape.get("minimum", 1))


def _plain(shape: Mapping[str, Any]) -> Any:
    return False if shape.get("type") == "boolean" else None
