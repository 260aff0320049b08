"""JSON Schema (2020-12): the pieces that shapes are made of, and the check that says which field is wrong and with which value.

A `pattern` describes the whole text: a `$` before a last line feed is not its end. It and `format` are asked only of text short enough.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator, FormatChecker
from netaddr import AddrFormatError, IPAddress, IPNetwork

from common.errors import BadRequest

Shape = Mapping[str, Any]
FORMATS = FormatChecker(formats=())
SHOWN = 200


def _format(name: str) -> Callable[[Callable[[object], bool]], Callable[[object], bool]]:
    return FORMATS.checks(name, raises=(ValueError, TypeError, AddrFormatError))


@_format("uuid")
def _uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(uuid.UUID(value))


@_format("ip")
def _ip(value: object) -> bool:
    return not isinstance(value, str) or bool(IPAddress(value) is not None)


@_format("cidr")
def _cidr(value: object) -> bool:
    return not isinstance(value, str) or ("/" in value and IPNetwork(value) is not None)


@_format("mac")
def _mac(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", value))


@_format("base64")
def _base64(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", "".join(value.split())))


# The pieces. `NAME` is a printable name of 1 to 255 characters, `TEXT` may be empty.
NO_NUL = r"^[^\u0000]*$"
TEXT: Shape = {"type": "string", "maxLength": 255, "pattern": NO_NUL}
OPTIONAL_TEXT: Shape = {"type": ["string", "null"], "maxLength": 255, "pattern": NO_NUL}
LONG_TEXT: Shape = {"type": ["string", "null"], "maxLength": 65535, "pattern": NO_NUL}
NAME: Shape = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\s*[^\s\u0000][^\u0000]*$"}
UUID: Shape = {"type": "string", "format": "uuid"}
OPTIONAL_UUID: Shape = {"type": ["string", "null"], "format": "uuid"}
ID: Shape = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+$"}
IP: Shape = {"type": "string", "format": "ip"}
CIDR: Shape = {"type": "string", "format": "cidr"}
MAC: Shape = {"type": "string", "format": "mac"}
BOOLEAN: Shape = {"type": "boolean"}
TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "t": True, "y": True, "false": False, "0": False, "no": False, "off": False, "f": False, "n": False}  # fmt: skip
LOOSE_BOOLEAN: Shape = {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, {"type": "string", "pattern": r"^(?ai:true|false|1|0|yes|no|on|off|t|f|y|n)$"}]}  # fmt: skip
WHOLE_NUMBER = r"^-?[0-9]{1,18}$"
METADATA: Shape = {
    "type": "object", "maxProperties": 128, "additionalProperties": TEXT, "propertyNames": {"minLength": 1, "maxLength": 255},
}  # fmt: skip


def obj(properties: Mapping[str, Any], *, required: tuple[str, ...] = (), extra: bool | Shape = False) -> dict[str, Any]:
    """An object with these properties; others are refused unless `extra`."""
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": extra}


def wrapped(name: str, shape: Shape) -> dict[str, Any]:
    """`{name: shape}`, the envelope of most OpenStack bodies."""
    return obj({name: shape}, required=(name,))


def array(shape: Shape, **more: Any) -> dict[str, Any]:
    """A list of `shape`."""
    return {"type": "array", "items": shape, **more}


def integer(minimum: int | None = None, maximum: int | None = 2**31 - 1) -> dict[str, Any]:
    """A whole number; as a string too, which OpenStack's clients send."""
    bounds: dict[str, Any] = {key: value for key, value in (("minimum", minimum), ("maximum", maximum)) if value is not None}
    return {"anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": WHOLE_NUMBER, "x-integer": bounds}]}


def is_whole_number(text: str) -> bool:
    """Whether `int` takes it, and PostgreSQL's bigint holds it."""
    return re.fullmatch(WHOLE_NUMBER, text) is not None


def truth(value: object) -> bool:
    """What a `LOOSE_BOOLEAN` says."""
    return value if isinstance(value, bool) else TRUTHS[str(value).lower()]


def _x_integer(_validator: Any, bounds: Mapping[str, int], instance: object, _schema: object) -> Any:
    if isinstance(instance, str) and is_whole_number(instance):
        number = int(instance)
        if number < bounds.get("minimum", number):
            yield jsonschema.ValidationError(f"{instance} is less than the minimum of {bounds['minimum']}")
        if number > bounds.get("maximum", number):
            yield jsonschema.ValidationError(f"{instance} is greater than the maximum of {bounds['maximum']}")


def _x_named(validator: Any, lists: Mapping[str, Mapping[str, Shape]], instance: object, _schema: object) -> Any:
    """Of an object: the properties that a list of it names, as it says for each. Those that it does not name are not looked at."""
    if not isinstance(instance, dict):
        return
    for by, shapes in lists.items():
        names: Any = instance.get(by)
        for name in shapes if isinstance(names, list) else ():
            if name in instance and name in names:
                yield from validator.descend(instance[name], shapes[name], path=name, schema_path=name)


def _pattern(_validator: Any, pattern: str, instance: object, schema: Mapping[str, Any]) -> Any:
    if isinstance(instance, str) and not _too_long(instance, schema) and not re.fullmatch(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _format_of(validator: Any, name: str, instance: object, schema: Mapping[str, Any]) -> Any:
    if not _too_long(instance, schema):
        yield from Draft202012Validator.VALIDATORS["format"](validator, name, instance, schema)


def _too_long(instance: object, schema: Mapping[str, Any]) -> bool:
    """Whether `maxLength` refuses it anyway, so that nothing whose time grows with the text need run."""
    return isinstance(instance, str) and len(instance) > schema.get("maxLength", len(instance))


_Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"x-integer": _x_integer, "x-named": _x_named, "pattern": _pattern, "format": _format_of}
)


@functools.lru_cache(maxsize=1024)
def _compiled(canonical: str) -> Any:
    schema = json.loads(canonical)
    _Validator.check_schema(schema)
    return _Validator(schema, format_checker=FORMATS)


class Checker:
    """A compiled shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._validator = _compiled(json.dumps(shape, sort_keys=True))

    def __call__(self, value: object, *, what: str = "body") -> None:
        """Raise BadRequest naming the first wrong field and its value."""
        error = jsonschema.exceptions.best_match(self._validator.iter_errors(value))
        if error is not None:
            raise BadRequest(sentence(error, what))


def sentence(error: jsonschema.ValidationError, what: str) -> str:
    """One sentence for a person: the field, the value, what is wrong. An object is not repeated: it may hold a secret."""
    path = ".".join(str(part) for part in error.absolute_path)
    whole = isinstance(error.instance, (dict, list))
    why = _short(error.message.replace(repr(error.instance), "the value") if whole else error.message)
    if not path:
        return f"Invalid {what}: {why}."
    if error.validator == "required":
        return f"Invalid input for field/attribute {path}.{_missing(error)}. {why}."
    if any(word in path.lower() for word in ("password", "secret", "passcode", "user_data", "blob")):
        return f"Invalid input for field/attribute {path}. Value: ***. {why if whole else 'the value is not allowed'}."
    if whole:
        return f"Invalid input for field/attribute {path}. {why}."
    return f"Invalid input for field/attribute {path}. Value: {_short(json.dumps(error.instance, ensure_ascii=False, default=str))}. {why}."


def _missing(error: jsonschema.ValidationError) -> str:
    """Which of the required fields it is: there is one error for each."""
    names: Any = error.validator_value
    return next(str(name) for name in names if error.message.startswith(repr(name)))


def _short(message: str) -> str:
    return message if len(message) <= SHOWN else message[: SHOWN - 1] + "…"
