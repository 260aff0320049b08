"""Values that do not belong, and every place of a body where one could stand: what each operation of every service is asked.

The check of a shape is one for all operations and has no way to a handler, so that it refuses most bodies in this process; to HTTP goes
whatever a handler would see, and of the refused ones at each place another one in turn, to see the answer. What the values are put into is a
body that is taken as it is: where it were refused, no value would be looked at.
"""

from __future__ import annotations

import copy
import itertools
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
# Enough where a body is put together in another way, but the same places are read.
SOME: list[Any] = [None, True, -1, "", "x" * 300, "é", [], {}, UUID]
PATHS = ["none", "%00", quote("é"), "x" * 300, "%2e%2e", "%F0%9F%92%A9", "%ff", "a%20b", "%27", UUID]
FEW = 5
# Stands in a body or a path for what no request named before.
FRESH = "fresh-one"
Place = tuple[str | int, ...]
_used = itertools.count(1)


def fresh(text: str) -> str:
    """The text of a body or a path to send, with a name of its own for each FRESH."""
    return re.sub(FRESH, lambda _: f"fresh-{next(_used):x}", text)


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


def _within(body: Any, above: Place) -> Iterator[Place]:
    """The places that a body has, which its shape may say nothing of."""
    for key, inner in body.items() if isinstance(body, dict) else enumerate(body[:1]) if isinstance(body, list) else ():
        yield (*above, key)
        yield from _within(inner, (*above, key))


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


def bodies(operation: Operation, starts: Sequence[Any], values: Iterable[Any] = ODD) -> Iterator[Any]:
    """`starts` with values at each place of their own and of the operation's body, as far as HTTP need be asked.

    The first with each value, the others with SOME; and SOME where the start has nothing that the place is in.
    Raises AssertionError where the shape refuses one of them.
    """
    known = list(values)
    for start in starts:
        must_fit(operation, start)
        for place in places_of(operation, start):
            asked = known if _has(start, place[:-1]) else SOME
            yield from worth_asking(operation, [put(copy.deepcopy(start), place, value) for value in asked], place)
        known = SOME


def _has(body: Any, place: Place) -> bool:
    for key in place:
        if not (isinstance(body, dict) and key in body) and not (isinstance(body, list) and body):
            return False
        body = body[key]
    return True


def places_of(operation: Operation, start: Any) -> list[Place]:
    """The places of the operation's body, and those of `start` that its shape says nothing of."""
    assert operation.body is not None
    return list(dict.fromkeys([*places(operation.body.shape), *_within(start, ())]))


def must_fit(operation: Operation, start: Any) -> None:
    """Raise AssertionError unless the shape takes a body into which odd values are to be put."""
    complaint = ""
    try:
        assert operation.body is not None
        operation.body(start)
    except BadRequest as error:
        complaint = error.message
    assert not complaint, f"{title(operation)}: its shape refuses what odd values are to be put into, {json.dumps(start)}: {complaint}"


def title(operation: Operation) -> str:
    """What to call it in the name of a test, or a complaint."""
    return f"{operation.method} {operation.path} {operation.body_key or ''}".strip()


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
