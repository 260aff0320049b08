"""JSON in and out: what is read is bounded and well-formed, what is written is as the API references print it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import falcon

from common import errors

DEEPEST = 64
TAKEN = ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream")


def read_json(http: falcon.Request, most: int) -> Any:
    """The JSON body of at most `most` bytes, or None where there is none. Raises BadRequest, TooLarge, UnsupportedMediaType."""
    data = _read(http, most)
    if not data.strip():
        return None
    kind = (http.content_type or "application/json").split(";")[0].strip().lower()
    if "json" not in kind and kind not in TAKEN:
        raise errors.UnsupportedMediaType(f"The media type {kind} is not supported; use application/json.")
    try:
        body = json.loads(data.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in data:
            _must_be_text(body)
        if data.count(b"[") + data.count(b"{") > DEEPEST:
            _must_be_flat(body)
        return body
    except RecursionError:
        raise errors.BadRequest("Malformed request body: it is nested too deep.") from None
    except ValueError as error:
        raise errors.BadRequest(f"Malformed request body: {error}") from None


def _read(http: falcon.Request, most: int) -> bytes:
    length = http.content_length
    if length is None and http.get_header("Transfer-Encoding") is None:
        return b""
    if length is not None and length > most:
        raise errors.TooLarge(f"The request body of {length} bytes is larger than the {most} allowed.")
    try:
        data: bytes = http.stream.read(most + 1)
    except (OSError, ValueError) as error:
        raise errors.BadRequest(f"The request body did not arrive whole: {error}.") from None
    if len(data) > most:
        raise errors.TooLarge(f"The request body is larger than the {most} bytes allowed.")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{number} is too large a number")
    return value


def _must_be_flat(body: object) -> None:
    """Raise ValueError for what is nested deeper than any body of ours: whoever walks it by recursion would fail."""
    level, depth = [body], 0
    while level := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        level = [inner for value in level for inner in (value.values() if isinstance(value, dict) else value)]


def _must_be_text(body: object) -> None:
    """Raise ValueError for a string that PostgreSQL cannot hold: one with a NUL, or with half of a surrogate pair."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("a string holds a NUL character or half of a surrogate pair")


def dumps(body: Any) -> bytes:
    """JSON as it goes on the wire; a datetime in UTC with a Z."""
    return json.dumps(body, default=_plain, ensure_ascii=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
