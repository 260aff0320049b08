"""The `local` half of a rule: texts with `{0}`, `{1}` … where values of the assertion are put in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}")
ALONE = re.compile(r"\s*\{(\d{1,3})\}\s*")
BRACES = {"{{": "{", "}}": "}"}
LISTS = ("groups", "group_ids")
JSON = "JSON:"
Slots = Sequence[Sequence[str]]


def fill(local: Mapping[str, Any], slots: Slots) -> dict[str, Any]:
    """The mapping with values put in; `groups` and `group_ids` become lists. Without slots every text stays as it is."""
    return {name: _many(value, slots) if name in LISTS else _filled(value, slots) for name, value in local.items()}


def used(value: Any) -> list[int]:
    """The numbers of all placeholders in it."""
    if isinstance(value, Mapping):
        return [index for inner in value.values() for index in used(inner)]
    if isinstance(value, list):
        return [index for inner in value for index in used(inner)]
    return [int(found[1]) for found in PLACEHOLDER.finditer(value) if found[1]] if isinstance(value, str) else []


def json_object(value: str) -> dict[str, Any] | None:
    """The object of a value `JSON:{…}`; None for any other text."""
    if not value.startswith(JSON):
        return None
    try:
        found = json.loads(value.removeprefix(JSON))
        # What SQL's text cannot hold, a NUL or half of a surrogate pair, must not come in by an escape.
        plain = b"\\u0000" not in json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and plain else {}


def _filled(value: Any, slots: Slots) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(inner, slots) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, slots) for inner in value]
    return _text(value, slots)


def _text(template: str, slots: Slots) -> str:
    """The text; of several values the whole, as they came: joined by `;`."""
    if not slots:
        return template
    return PLACEHOLDER.sub(lambda found: ";".join(slots[int(found[1])]) if found[1] else BRACES[found[0]], template)


def _many(template: str, slots: Slots) -> list[str]:
    """The values of `groups` or `group_ids`: a placeholder alone gives all of its values, a written list each of its texts.

    Only the rule's own text is ever read as a list, never a value: nobody joins a group by his own name.
    """
    alone = ALONE.fullmatch(template)
    if slots and alone:
        return [value for value in slots[int(alone[1])] if value]
    return [text for text in (_text(item, slots) for item in _written(template)) if text]


def _written(template: str) -> list[str]:
    if template.lstrip().startswith("["):
        try:
            found = ast.literal_eval(template.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [template]
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    return [template]
