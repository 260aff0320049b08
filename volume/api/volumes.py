"""/volumes: create, list, show, change, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.api.operation import operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.api.shapes import wrapped
from common.errors import BadRequest
from volume.api.shapes import volume as shapes
from volume.api.views import brief_volume, meta, named, plain_view, volume_view
from volume.service import listing, volumes


def scope(request: Request, noun: str) -> listing.Scope:
    """Whose rows a list of `noun` holds: with `all_tenants` everybody's, for those who may see them."""
    everybody = bool(request.query.flag("all_tenants", False)) and request.may(f"{noun}:list:all_projects")
    return listing.Scope(request.actor, everybody)


def filled(page: Page, rows: Sequence[object]) -> bool:
    """Whether a page holds as many as were asked for: Cinder then names a next one, which may be empty."""
    return page.limit is not None and 0 < page.limit <= len(rows)


def _page(request: Request) -> tuple[list[volumes.Found], dict[str, Any]]:
    page, whose = Page.asked(request, listing.VOLUME_KEYS), scope(request, "volume:volume")
    rows, more = request.read(lambda tx: listing.volumes_of(tx, whose, request.query, page))
    return rows, next_link(request, "volumes", rows, more or filled(page, rows))


@operation("GET", "/volumes", action="volume:volume:list", guarded=("volume:volume:list:all_projects",), answer=shapes.BRIEF_VOLUMES)
def index(request: Request) -> dict[str, Any]:
    """The volumes of the project, newest first."""
    rows, more = _page(request)
    return {"volumes": [brief_volume(request, row) for row in rows], **more}


@operation("GET", "/volumes/detail", action="volume:volume:list", guarded=("volume:volume:list:all_projects",), answer=shapes.VOLUMES)
def detail(request: Request) -> dict[str, Any]:
    """The same in full."""
    rows, more = _page(request)
    return {"volumes": [volume_view(request, row) for row in rows], **more}


@operation("POST", "/volumes", action="volume:volume:create", status=202, body=shapes.CREATE, answer=shapes.PLAIN_VOLUME)
def create(request: Request) -> dict[str, Any]:
    """Make a volume: empty, from an image, or from a snapshot."""
    body = request.body["volume"]
    if body.get("source_volid"):
        request.read(lambda tx: volumes.get(tx, request.actor, body["source_volid"]))
        raise BadRequest("Invalid input for field/attribute source_volid: a volume cannot be made from a volume; take a snapshot first.")
    if body.get("multiattach") in (True, "true", "True"):
        raise BadRequest("Invalid input for field/attribute multiattach: volumes attach to one server at a time.")
    image_id = body.get("imageRef") or body.get("image_id") or None
    if image_id and body.get("snapshot_id"):
        raise BadRequest("Invalid input: a volume is made from an image or from a snapshot, not from both.")
    size = body.get("size")
    wish = volumes.NewVolume(
        size_gib=int(size) if size is not None else None, name=named(body, "name"), description=named(body, "description"),
        type=body.get("volume_type"), image_id=image_id, snapshot_id=body.get("snapshot_id"),
        availability_zone=body.get("availability_zone"), metadata=meta(body.get("metadata")),
    )  # fmt: skip
    return {"volume": request.run(lambda tx: plain_view(request, volumes.create(tx, request.actor, wish)))}


@operation("GET", "/volumes/{volume_id}", action="volume:volume:show", guarded=("volume:volume:show:host",), answer=shapes.VOLUME)
def show(request: Request) -> dict[str, Any]:
    """One volume."""
    return {"volume": request.read(lambda tx: volume_view(request, volumes.get(tx, request.actor, request.path["volume_id"])))}


@operation("PUT", "/volumes/{volume_id}", action="volume:volume:update", body=wrapped("volume", shapes.UPDATE), answer=shapes.PLAIN_VOLUME)
def update(request: Request) -> dict[str, Any]:
    """Change name, description or metadata."""
    body = request.body["volume"]

    def change(tx: Any) -> dict[str, Any]:
        found = volumes.get_locked(tx, request.actor, request.path["volume_id"])
        for key in ("name", "description"):
            if key in body or f"display_{key}" in body:
                setattr(found.volume, key, named(body, key))
        if body.get("metadata") is not None:
            found.volume.meta = meta(body["metadata"])
        tx.flush()
        tx.refresh(found.volume)
        return plain_view(request, found)

    return {"volume": request.run(change)}


@operation("DELETE", "/volumes/{volume_id}", action="volume:volume:delete", status=202, guarded=("volume:volume:force_delete",))
def delete(request: Request) -> None:
    """Delete a volume; with `cascade` its snapshots too."""
    cascade, force = bool(request.query.flag("cascade", False)), bool(request.query.flag("force", False))
    if force:
        request.must("volume:volume:force_delete", field="force")
    request.run(lambda tx: volumes.delete(tx, request.actor, request.path["volume_id"], cascade=cascade, force=force))
