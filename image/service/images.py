"""The rules of images: who sees them, what may be changed, what a delete means. All run in the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.dialects.postgresql import insert

from common import jobs
from common.auth import Actor
from common.db import Tx, new_uuid
from common.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from image.flows import image_delete
from image.models import FORMATS, VISIBILITIES, Image, Member

CONTAINERS = ("bare",)
PROPERTIES_MOST = 128
TAGS_MOST = 128
# Attributes of an image that clients may set; every other name is a property, but for those the service keeps to itself.
SETTABLE = ("name", "visibility", "tags", "container_format", "disk_format", "min_disk", "min_ram", "protected", "os_hidden", "owner")
READ_ONLY = (
    "id", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "self", "file",
    "schema", "direct_url", "locations", "stores", "deleted", "deleted_at", "is_public",
)  # fmt: skip
COLUMNS = {"os_hidden": "hidden"}


def shared_with(project_id: str | None, *statuses: str) -> ColumnElement[bool]:
    """SQL for: a shared image that has this project as a member, of one of `statuses` if any is named."""
    member = and_(Member.image_id == Image.id, Member.member_id == project_id)
    if statuses:
        member = and_(member, Member.status.in_(statuses))
    return and_(Image.visibility == "shared", exists().where(member))


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """SQL for: the actor may know of the image."""
    present = Image.desired == "present"
    if actor.is_admin:
        return present
    open_to_all = Image.visibility.in_(("public", "community"))
    return and_(present, or_(open_to_all, Image.owner == actor.project_id, shared_with(actor.project_id)))


def get(tx: Tx, actor: Actor, image_id: str) -> Image:
    """An image that the actor may know of. Raises NotFound."""
    image = tx.execute(select(Image).where(Image.id == image_id, visible_to(actor))).scalar_one_or_none()
    if image is None:
        raise NotFound(f"No image found with ID {image_id}")
    return image


def get_own(tx: Tx, actor: Actor, image_id: str) -> Image:
    """An image that the actor may change, locked. Raises NotFound, and Forbidden where it is another project's."""
    statement = select(Image).where(Image.id == image_id, visible_to(actor)).with_for_update(of=Image)
    image = tx.execute(statement.execution_options(populate_existing=True)).scalar_one_or_none()
    if image is None:
        raise NotFound(f"No image found with ID {image_id}")
    if not actor.is_admin and image.owner != actor.project_id:
        raise Forbidden(f"Image {image_id} belongs to another project; only its owner may change it.")
    return image


def create(tx: Tx, actor: Actor, values: Mapping[str, Any]) -> Image:
    """Make an image without data. `values` is the body of the request, checked for shape.

    Raises BadRequest, Conflict where the id is taken, Forbidden for a reserved attribute, TooLarge.
    """
    settable = {name: value for name, value in values.items() if name in SETTABLE}
    properties = {name: value for name, value in values.items() if name not in SETTABLE and name != "id"}
    refuse_read_only(properties)
    image_id = str(uuid.UUID(values["id"])) if "id" in values else new_uuid()
    image = Image(id=image_id, owner=settable.pop("owner", None) or actor.project, properties=properties)
    for name, value in settable.items():
        set_attribute(image, name, value)
    check_sizes(image)
    return _insert(tx, image)


def _insert(tx: Tx, image: Image) -> Image:
    columns = {c.key: getattr(image, c.key) for c in Image.__table__.columns if getattr(image, c.key) is not None}
    made = tx.execute(insert(Image).values(**columns, observed_generation=1).on_conflict_do_nothing().returning(Image.id)).scalar()
    if made is None:
        raise Conflict(f"Image ID {image.id} already exists!")
    return tx.execute(select(Image).where(Image.id == image.id)).scalar_one()


def refuse_read_only(names: Mapping[str, Any]) -> None:
    """Raise Forbidden for an attribute that only the service sets."""
    for name in names:
        if name in READ_ONLY:
            raise Forbidden(f"Attribute '{name}' is read-only.")


def set_attribute(image: Image, name: str, value: Any) -> None:
    """Set one of SETTABLE. Raises BadRequest for a value that cannot be, Forbidden for one that cannot change any more."""
    if name in ("disk_format", "container_format"):
        _check_format(image, name, value)
    if name == "visibility" and value not in VISIBILITIES:
        raise BadRequest(f"Invalid visibility {value!r}; it must be one of {', '.join(VISIBILITIES)}.")
    if name == "owner" and value is None:
        raise BadRequest("An image needs an owner.")
    if name == "tags":
        value = sorted(set(value))
    setattr(image, COLUMNS.get(name, name), value)


def _check_format(image: Image, name: str, value: Any) -> None:
    allowed = FORMATS if name == "disk_format" else CONTAINERS
    if value is not None and value not in allowed:
        raise BadRequest(f"Invalid {name} '{value}' for image. It must be one of {', '.join(allowed)}.")
    if (image.data is not None or image.uploading) and value != getattr(image, name):
        raise Forbidden(f"Attribute {name} can be replaced only for a queued image.")


def check_sizes(image: Image) -> None:
    """Raise TooLarge where an image has more properties or tags than it may."""
    if len(image.properties or {}) > PROPERTIES_MOST:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image properties. Maximum: {PROPERTIES_MOST}")
    if len(image.tags or []) > TAGS_MOST:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image tags. Maximum: {TAGS_MOST}")


def delete(tx: Tx, actor: Actor, image_id: str) -> None:
    """Hide the image and have its data removed. Raises NotFound, Forbidden."""
    image = get_own(tx, actor, image_id)
    if image.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    image.desired = "absent"
    image.touch()
    jobs.divert(tx, image_delete.FLOW, image.id, actor=actor.user_id, project_id=image.owner)


def add_tag(tx: Tx, actor: Actor, image_id: str, tag: str) -> None:
    """Put a tag on an image; it may be there already. Raises NotFound, Forbidden, TooLarge."""
    image = get_own(tx, actor, image_id)
    image.tags = sorted({*image.tags, tag})
    check_sizes(image)


def remove_tag(tx: Tx, actor: Actor, image_id: str, tag: str) -> None:
    """Take a tag off an image. Raises NotFound where it is not on it, Forbidden."""
    image = get_own(tx, actor, image_id)
    if tag not in image.tags:
        raise NotFound(f"Image {image_id} does not have the tag {tag!r}.")
    image.tags = [kept for kept in image.tags if kept != tag]


def listed(actor: Actor, visibility: str | None, member_status: str | None) -> ColumnElement[bool]:
    """SQL for: the image is in a list that the actor asks for, before any other filter.

    Community images are listed only when they are asked for, and shared ones of others only once accepted, or as `member_status` says.
    """
    seen = visible_to(actor)
    statuses = () if member_status == "all" else (member_status or "accepted",)
    if visibility == "all":
        return seen
    if visibility is None:
        own = Image.owner == actor.project_id
        others = true() if actor.is_admin else or_(Image.visibility == "public", shared_with(actor.project_id, *statuses))
        return and_(seen, or_(own, and_(Image.visibility != "community", others)))
    of_kind = and_(seen, Image.visibility == visibility)
    if visibility == "shared" and not actor.is_admin:
        return and_(of_kind, or_(Image.owner == actor.project_id, shared_with(actor.project_id, *statuses)))
    return of_kind
