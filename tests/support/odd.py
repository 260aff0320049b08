"""Values that do not belong, and every place of a body where one could stand: what each operation of every service is asked.

The check of a shape is one for all operations and has no way to a handler, so that it refuses most bodies in this process; to HTTP goes
whatever a handler would see, and of the refused ones at each place another one in turn, to see the answer.
"""

from __future__ import annotations

import copy
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote

from common.api.operation import Operation
from common.errors import BadRequest

UUID = "5f0d3c1e-2f5b-4c0e-9d3a-6a7b8c9d0e1f"
ODD: list[Any] = [
    None, True, 5, -1, 2**70, 1.5, 1e308, "", " ", "x" * 300, "\x00", "\ud800", "é", "5\n", "true\n", "yeſ", "%", "'; --", [], [None], {}, {"a": {"b": []}}, ["x" * 300],
    "../..", "\u202e", 0, UUID,
]  # fmt: skip
PATHS = ["none", "%00", quote("é"), "x" * 300, "%2e%2e", "%F0%9F%92%A9", "%ff", "a%20b", "%27", UUID]
FEW = 5
Place = tuple[str | int, ...]


def places(shape: Mapping[str, Any]) -> list[Place]:
    """Every field of a shape, and those of what its lists hold, as the keys that lead there; 0 is the first of a list."""
    return list(dict.fromkeys(_places(shape, ())))


def _places(shape: Any, above: Place) -> Iterator[Place]:
    if not isinstance(shape, Mapping):
        return  # `True`: whatever comes
    for option in shape.get("anyOf", ()):
        yield from _places(option, above)
    for name, inner in shape.get("properties", {}).items():
        yield (*above, name)
        yield from _places(inner, (*above, name))
    if isinstance(shape.get("items"), Mapping):
        yield (*above, 0)
        yield from _places(shape["items"], (*above, 0))


def put(body: Any, place: Place, value: Any) -> Any:
    """A copy of the body with `value` at `place`; what leads there is made."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        return [put(body[0] if isinstance(body, list) and body else None, rest, value)]
    made = dict(body) if isinstance(body, dict) else {}
    made[key] = put(made.get(key), rest, value)
    return made


def bodies(operation: Operation, start: Any, values: Iterable[Any] = ODD) -> Iterator[Any]:
    """`start` with each value at each place of the operation's body, as far as HTTP need be asked."""
    assert operation.body is not None
    known = list(values)
    for place in places(operation.body.shape):
        yield from worth_asking(operation, [put(copy.deepcopy(start), place, value) for value in known], place)


def worth_asking(operation: Operation, candidates: Iterable[Any], salt: object = "") -> Iterator[Any]:
    """The candidates that come to the handler, and one of those that do not; `salt` and the operation choose which.

    Raises AssertionError where a refusal is no sentence, and what the check raises that is none.
    """
    refused = []
    for body in candidates:
        if _refused(operation, body):
            refused.append(body)
        else:
            yield body
    if refused:
        yield _one_of(refused, operation, salt)


def _one_of(values: Sequence[Any], operation: Operation, salt: object) -> Any:
    """One of them in turn, the same in each run."""
    return values[zlib.crc32(f"{operation.method} {operation.path} {operation.body_key} {salt}".encode()) % len(values)]


def queries(operation: Operation, candidates: Iterable[str]) -> Iterator[str]:
    """The query strings that come to a handler and hold what it hears, and one of the others.

    For a documented service: what its handlers hear is declared (common/api/check.py).
    """
    others = []
    for query in candidates:
        if _heard(operation, query):
            yield query
        else:
            others.append(query)
    if others:
        yield _one_of(others, operation, "query")


def _heard(operation: Operation, query: str) -> bool:
    try:
        found = parse_qs(query, keep_blank_values=True, errors="strict")
        operation.check_query(found)
    except (ValueError, BadRequest):
        return False
    return any(name in operation.query or name.partition("__")[0] in operation.query for name in found)


def paths(operation: Operation, candidates: Sequence[str], asked: Counter[tuple[str, ...]]) -> Iterator[str]:
    """What to put into the operation's path: all candidates for the first with its method and its parts, the next few for each like it.

    `asked` remembers how many operations of each such kind there were.
    """
    parts = re.findall(r"\{\w+\}", operation.path)
    like = (operation.method, *parts)
    if not parts:
        return
    if asked[like]:
        begin = (asked[like] - 1) * FEW
        yield from (candidates[(begin + step) % len(candidates)] for step in range(min(FEW, len(candidates))))
    else:
        yield from candidates
    asked[like] += 1


def _refused(operation: Operation, body: Any) -> bool:
    assert operation.body is not None
    message = ""
    try:
        operation.body(body)
    except BadRequest as error:
        message = error.message
    else:
        return not _is_text(body)
    assert message, f"{operation.method} {operation.path} refuses {body} without a word"
    return True


def _is_text(body: Any) -> bool:
    """Whether the reader of bodies lets it pass: no NUL and no half of a surrogate pair."""
    try:
        return b"\\u0000" not in json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
