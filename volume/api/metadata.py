"""The metadata of volumes and of snapshots: whole, merged, and key by key."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.errors import BadRequest, NotFound
from volume.api.shapes.metadata import ITEM, ITEM_IN, METADATA, METADATA_IN
from volume.api.views import meta
from volume.models import Snapshot, Volume
from volume.service import snapshots, volumes

VOLUME, SNAPSHOT = "/volumes/{volume_id}/metadata", "/snapshots/{snapshot_id}/metadata"
MOST = 128


def _row(request: Request, tx: Any, *, locked: bool = False) -> Volume | Snapshot:
    """What the path names."""
    if "volume_id" in request.path:
        return (volumes.get_locked if locked else volumes.get)(tx, request.actor, request.path["volume_id"]).volume
    return (snapshots.get_locked if locked else snapshots.get)(tx, request.actor, request.path["snapshot_id"])


@operation("GET", VOLUME, action="volume:metadata:show", answer=METADATA)
@operation("GET", SNAPSHOT, action="volume:snapshot:show", answer=METADATA)
def whole(request: Request) -> dict[str, Any]:
    """All of it."""
    return {"metadata": request.read(lambda tx: _row(request, tx).meta)}


@operation("POST", VOLUME, action="volume:metadata:update", body=METADATA_IN, answer=METADATA)
@operation("POST", SNAPSHOT, action="volume:snapshot:update", body=METADATA_IN, answer=METADATA)
def merge(request: Request) -> dict[str, Any]:
    """Set these keys; the others stay."""
    return {"metadata": request.run(lambda tx: _merged(_row(request, tx, locked=True), meta(request.body["metadata"])))}


@operation("PUT", VOLUME, action="volume:metadata:update", body=METADATA_IN, answer=METADATA)
@operation("PUT", SNAPSHOT, action="volume:snapshot:update", body=METADATA_IN, answer=METADATA)
def replace(request: Request) -> dict[str, Any]:
    """These keys and no others."""

    def change(tx: Any) -> dict[str, str]:
        row = _row(request, tx, locked=True)
        row.meta = meta(request.body["metadata"])
        return dict(row.meta)

    return {"metadata": request.run(change)}


@operation("GET", VOLUME + "/{key}", action="volume:metadata:show", answer=ITEM)
@operation("GET", SNAPSHOT + "/{key}", action="volume:snapshot:show", answer=ITEM)
def item(request: Request) -> dict[str, Any]:
    """One key."""
    key = request.path["key"]
    return {"meta": {key: request.read(lambda tx: _value(_row(request, tx), key))}}


@operation("PUT", VOLUME + "/{key}", action="volume:metadata:update", body=ITEM_IN, answer=ITEM)
@operation("PUT", SNAPSHOT + "/{key}", action="volume:snapshot:update", body=ITEM_IN, answer=ITEM)
def set_item(request: Request) -> dict[str, Any]:
    """Set one key."""
    key, given = request.path["key"], meta(request.body["meta"])
    if key not in given:
        raise BadRequest(f"Request body and URI mismatch: the body does not hold the key {key!r}.")
    request.run(lambda tx: _merged(_row(request, tx, locked=True), given))
    return {"meta": given}


@operation("DELETE", VOLUME + "/{key}", action="volume:metadata:update")
@operation("DELETE", SNAPSHOT + "/{key}", action="volume:snapshot:update")
def remove_item(request: Request) -> None:
    """Remove one key."""
    key = request.path["key"]

    def change(tx: Any) -> None:
        row = _row(request, tx, locked=True)
        _value(row, key)
        row.meta = {name: value for name, value in row.meta.items() if name != key}

    request.run(change)


def _merged(row: Volume | Snapshot, given: dict[str, str]) -> dict[str, str]:
    merged = {**row.meta, **given}
    if len(merged) > MOST:
        raise BadRequest(f"Maximum number of metadata items exceeds {MOST}.")
    row.meta = merged
    return merged


def _value(row: Volume | Snapshot, key: str) -> str:
    if key not in row.meta:
        raise NotFound(f"Metadata item {key!r} was not found.")
    return str(row.meta[key])
