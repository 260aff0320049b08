"""/snapshots: create, list, show, change, delete."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.api.shapes import TRUTHS, truth, wrapped
from common.errors import BadRequest, NotFound
from volume.api.shapes import snapshot as shapes
from volume.api.shapes.volume import UPDATE
from volume.api.views import meta, named, snapshot_view
from volume.api.volumes import filled, scope
from volume.service import listing, snapshots


def _page(request: Request, *, full: bool) -> dict[str, Any]:
    page, whose = Page.asked(request, listing.SNAPSHOT_KEYS), scope(request, "volume:snapshot")
    rows, more = request.read(lambda tx: listing.snapshots_of(tx, whose, request.query, page))
    return {
        "snapshots": [snapshot_view(row, full=full) for row in rows],
        **next_link(request, "snapshots", rows, more or filled(page, rows)),
    }


@operation(
    "GET", "/snapshots", action="volume:snapshot:list", guarded=("volume:snapshot:list:all_projects",), answer=shapes.PLAIN_SNAPSHOTS
)
def index(request: Request) -> dict[str, Any]:
    """The snapshots of the project, newest first."""
    return _page(request, full=False)


@operation(
    "GET", "/snapshots/detail", action="volume:snapshot:list", guarded=("volume:snapshot:list:all_projects",), answer=shapes.SNAPSHOTS
)
def detail(request: Request) -> dict[str, Any]:
    """The same with the extended attributes."""
    return _page(request, full=True)


@operation("POST", "/snapshots", action="volume:snapshot:create", status=202, body=shapes.CREATE, answer=shapes.PLAIN_SNAPSHOT)
def create(request: Request) -> dict[str, Any]:
    """Take a snapshot of a volume; with `force` also of one in use."""
    body = request.body["snapshot"]
    force = body.get("force") or False
    if body["volume_id"] is None:
        raise NotFound("Volume None could not be found.")
    if str(force).lower() not in TRUTHS:
        raise BadRequest(f"Invalid value {force!r} for force: it is not a boolean.")
    made = request.run(
        lambda tx: snapshot_view(
            snapshots.create(
                tx, request.actor, body["volume_id"], name=named(body, "name"), description=named(body, "description"),
                metadata=meta(body.get("metadata")), force=truth(force),
            ),
            full=False,
        )
    )  # fmt: skip
    return {"snapshot": made}


@operation("GET", "/snapshots/{snapshot_id}", action="volume:snapshot:show", answer=shapes.SNAPSHOT)
def show(request: Request) -> dict[str, Any]:
    """One snapshot."""
    return {"snapshot": request.read(lambda tx: snapshot_view(snapshots.get(tx, request.actor, request.path["snapshot_id"])))}


@operation(
    "PUT", "/snapshots/{snapshot_id}", action="volume:snapshot:update", body=wrapped("snapshot", UPDATE), answer=shapes.PLAIN_SNAPSHOT
)
def update(request: Request) -> dict[str, Any]:
    """Change name or description."""
    body = request.body["snapshot"]

    def change(tx: Any) -> dict[str, Any]:
        row = snapshots.get_locked(tx, request.actor, request.path["snapshot_id"])
        for key in ("name", "description"):
            if key in body or f"display_{key}" in body:
                setattr(row, key, named(body, key))
        tx.flush()
        tx.refresh(row)
        return snapshot_view(row, full=False)

    return {"snapshot": request.run(change)}


@operation("DELETE", "/snapshots/{snapshot_id}", action="volume:snapshot:delete", status=202)
def delete(request: Request) -> None:
    """Delete a snapshot; volumes made from it live on."""
    request.run(lambda tx: snapshots.delete(tx, request.actor, request.path["snapshot_id"]))
