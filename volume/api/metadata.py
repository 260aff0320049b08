"""The metadata of a volume or a snapshot: whole, merged, and key by key. Each noun's module declares the operations on these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.api.request import Request
from common.api.shapes import obj, wrapped
from common.errors import BadRequest, NotFound
from volume.api.shapes import META, META_VALUE, meta

MOST = 128
BODY = wrapped("metadata", {**META, "type": "object"})
ITEM = wrapped("meta", {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": META_VALUE})
ANSWER = obj({"metadata": {"type": "object"}}, required=("metadata",))
# `(request, tx, locked)` gives the row with `.meta` that the path names.
Rows = Callable[[Request, Any, bool], Any]


def whole(request: Request, rows: Rows) -> dict[str, Any]:
    """All of it."""
    return {"metadata": request.read(lambda tx: rows(request, tx, False).meta)}


def merge(request: Request, rows: Rows) -> dict[str, Any]:
    """Set these keys; the others stay."""
    return {"metadata": request.run(lambda tx: _merged(rows(request, tx, True), meta(request.body["metadata"])))}


def replace(request: Request, rows: Rows) -> dict[str, Any]:
    """These keys and no others."""

    def change(tx: Any) -> dict[str, str]:
        row = rows(request, tx, True)
        row.meta = meta(request.body["metadata"])
        return dict(row.meta)

    return {"metadata": request.run(change)}


def item(request: Request, rows: Rows) -> dict[str, Any]:
    """One key."""
    key = request.path["key"]
    return {"meta": {key: request.read(lambda tx: _value(rows(request, tx, False), key))}}


def set_item(request: Request, rows: Rows) -> dict[str, Any]:
    """Set one key."""
    key, given = request.path["key"], meta(request.body["meta"])
    if key not in given:
        raise BadRequest(f"Request body and URI mismatch: the body does not hold the key {key!r}.")
    request.run(lambda tx: _merged(rows(request, tx, True), given))
    return {"meta": given}


def remove_item(request: Request, rows: Rows) -> None:
    """Remove one key."""
    key = request.path["key"]

    def change(tx: Any) -> None:
        row = rows(request, tx, True)
        _value(row, key)
        row.meta = {name: value for name, value in row.meta.items() if name != key}

    request.run(change)


def _merged(row: Any, given: dict[str, str]) -> dict[str, str]:
    merged = {**row.meta, **given}
    if len(merged) > MOST:
        raise BadRequest(f"Maximum number of metadata items exceeds {MOST}.")
    row.meta = merged
    return merged


def _value(row: Any, key: str) -> str:
    if key not in row.meta:
        raise NotFound(f"Metadata item {key!r} was not found.")
    return str(row.meta[key])
