"""JSON patches as the image API takes them: `add`, `replace`, `remove` of one attribute or property each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.api.shapes import NO_NUL, Checker, array, obj
from common.errors import BadRequest, Conflict, Forbidden
from image.api.shapes import PROPERTY, SETTABLE
from image.models import Image
from image.service.images import SETTABLE as ATTRIBUTES
from image.service.images import refuse_read_only, set_attribute

MEDIA_TYPES = ("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch")
_PATH = {"type": "string", "minLength": 2, "maxLength": 512, "pattern": r"^/?[^/\u0000]+$"}
PATCH = array(
    {
        "anyOf": [
            obj({"op": {"enum": ["add", "replace", "remove"]}, "path": _PATH, "value": {}}, required=("op", "path")),
            # The form of the 2.0 media type: the operation's name is the key.
            obj({"add": _PATH, "value": {}}, required=("add", "value")),
            obj({"replace": _PATH, "value": {}}, required=("replace", "value")),
            obj({"remove": _PATH}, required=("remove",)),
        ]
    },
    maxItems=1024,
)
_CHECKS = {name: Checker(shape) for name, shape in SETTABLE.items()}
_PROPERTY = Checker(PROPERTY)
_NAME = Checker({"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_NUL})


def apply(image: Image, patch: Sequence[Mapping[str, Any]]) -> None:
    """Change `image` as `patch` says.

    Raises BadRequest (value), Forbidden (read-only, or cannot be removed), Conflict (a property that is not there).
    """
    for change in patch:
        verb = str(change["op"]) if "op" in change else next(key for key in ("add", "replace", "remove") if key in change)
        pointer = str(change["path"] if "op" in change else change[verb])
        name = pointer.removeprefix("/").replace("~1", "/").replace("~0", "~")
        refuse_read_only({name: None})
        if verb == "remove":
            _remove(image, name)
        elif "value" not in change:
            raise BadRequest(f"Operation {verb!r} of {pointer!r} requires a member named 'value'.")
        else:
            _set(image, verb, name, change["value"])


def _remove(image: Image, name: str) -> None:
    if name in ATTRIBUTES:
        raise Forbidden(f"Property {name} may not be removed.")
    if name not in image.properties:
        raise Conflict(f"Property {name} does not exist.")
    image.properties = {key: value for key, value in image.properties.items() if key != name}


def _set(image: Image, verb: str, name: str, value: Any) -> None:
    if name in ATTRIBUTES:
        _CHECKS[name](value, what=f"value of {name}")
        set_attribute(image, name, value)
        return
    _NAME(name, what="property name")
    _PROPERTY(value, what=f"value of {name}")
    if verb == "replace" and name not in image.properties:
        raise Conflict(f"Property {name} does not exist.")
    image.properties = {**image.properties, name: value}
