"""/v2/images: create, list, show, change, delete, and tags."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from common.api.answer_shapes import STRING, always
from common.api.operation import Answer, operation
from common.api.paging import Page, next_link
from common.api.request import Request
from common.api.shapes import TEXT, Checker, array
from common.errors import UnsupportedMediaType
from image.api.patch import MEDIA_TYPES, PATCH, apply
from image.api.shapes import CREATE, IMAGE, image_view
from image.models import VISIBILITIES
from image.service import images, listing, members

QUERY = {
    "visibility": {"enum": [*VISIBILITIES, "all", ""]}, "member_status": {"enum": [*members.STATUSES, "all"]},
}  # fmt: skip
_TAG = Checker({**TEXT, "minLength": 1})
LIST = always({"images": array(IMAGE), "first": STRING, "schema": STRING}, {"next": STRING})


@operation("GET", "/images", action="image:image:list", query=QUERY, answer=LIST)
def index(request: Request) -> dict[str, Any]:
    """The images that the actor may use, newest first."""
    page, query = Page.asked(request, listing.KEYS), request.query
    rows, more = request.read(lambda tx: listing.images_of(tx, request.actor, query, page))
    kept = [(name, value) for name, values in query.values.items() for value in values if name != "marker"]
    first = "/v2/images" + (f"?{urlencode(kept)}" if kept else "")
    shown = [image_view(row) for row in rows]
    return {"images": shown, "first": first, "schema": "/v2/schemas/images", **next_link(request, "images", shown, more)}


@operation(
    "POST", "/images", action="image:image:create", status=201, body=CREATE, answer=IMAGE,
    guarded=("image:image:create:owner", "image:image:publicize", "image:image:communitize"),
)  # fmt: skip
def create(request: Request) -> Answer:
    """Make an image that waits for its data."""
    owner = request.body.get("owner")
    if owner is not None and owner != request.actor.project_id:
        request.must("image:image:create:owner", field="owner")
    may_show(request, request.body.get("visibility"))
    view = request.run(lambda tx: image_view(images.create(tx, request.actor, request.body)))
    location = request.url(f"/v2/images/{view['id']}")
    return Answer(view, headers={"Location": location})


def may_show(request: Request, visibility: str | None) -> None:
    """Raise Forbidden unless the actor may show an image to all like this."""
    action = {"public": "image:image:publicize", "community": "image:image:communitize"}.get(visibility or "")
    if action:
        request.must(action, field="visibility")


@operation("GET", "/images/{image_id}", action="image:image:show", answer=IMAGE)
def show(request: Request) -> dict[str, Any]:
    """One image."""
    return request.read(lambda tx: image_view(images.get(tx, request.actor, request.path["image_id"])))


@operation(
    "PATCH", "/images/{image_id}", action="image:image:update", body=PATCH, answer=IMAGE,
    guarded=("image:image:update:owner", "image:image:publicize", "image:image:communitize"),
)  # fmt: skip
def update(request: Request) -> dict[str, Any]:
    """Apply a JSON patch (RFC 6902: add, replace, remove) to attributes and properties."""
    media = (request.header("Content-Type") or "").split(";")[0].strip()
    if media not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"The media type {media} is not supported; use {MEDIA_TYPES[0]}.", headers={"Accept-Patch": ", ".join(MEDIA_TYPES)}
        )

    def change(tx: Any) -> dict[str, Any]:
        image = images.get_own(tx, request.actor, request.path["image_id"])
        before = image.owner, image.visibility
        apply(image, request.body)
        if image.owner != before[0]:
            request.must("image:image:update:owner", field="owner")
        if image.visibility != before[1]:
            may_show(request, image.visibility)
        images.check_sizes(image)
        tx.flush()
        tx.refresh(image)
        return image_view(image)

    return request.run(change)


@operation("DELETE", "/images/{image_id}", action="image:image:delete", status=204)
def delete(request: Request) -> None:
    """Delete an image; what was cloned from it lives on."""
    request.run(lambda tx: images.delete(tx, request.actor, request.path["image_id"]))


def _tag(request: Request) -> str:
    """The tag in the path. Raises BadRequest unless it is one of 1 to 255 characters."""
    _TAG(request.path["tag"], what="tag")
    return request.path["tag"]


@operation("PUT", "/images/{image_id}/tags/{tag}", action="image:tag:create", status=204)
def add_tag(request: Request) -> None:
    """Put a tag on an image."""
    tag = _tag(request)
    request.run(lambda tx: images.add_tag(tx, request.actor, request.path["image_id"], tag))


@operation("DELETE", "/images/{image_id}/tags/{tag}", action="image:tag:delete", status=204)
def remove_tag(request: Request) -> None:
    """Take a tag off an image."""
    tag = _tag(request)
    request.run(lambda tx: images.remove_tag(tx, request.actor, request.path["image_id"], tag))
