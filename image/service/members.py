"""The projects that a shared image is shared with. The owner adds and removes them; each accepts or rejects for itself."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from common.auth import Actor
from common.db import Tx
from common.errors import BadRequest, Conflict, Forbidden, NotFound
from image.models import Image, Member
from image.service import images

STATUSES = ("pending", "accepted", "rejected")


def _shared(image: Image) -> None:
    if image.visibility != "shared":
        raise Forbidden(f"Only shared images have members; image {image.id} is {image.visibility}.")


def create(tx: Tx, actor: Actor, image_id: str, member_id: str) -> Member:
    """Share an image. Raises NotFound, Forbidden, Conflict when it is shared with that project already."""
    image = images.get_own(tx, actor, image_id)
    _shared(image)
    made = insert(Member).values(image_id=image_id, member_id=member_id).on_conflict_do_nothing().returning(Member)
    member = tx.execute(made).scalar_one_or_none()
    if member is None:
        raise Conflict(f"Project {member_id} is already a member of image {image_id}.")
    return member


def index(tx: Tx, actor: Actor, image_id: str) -> list[Member]:
    """All members for the owner; for a member, itself. Raises NotFound, Forbidden where the image is not shared."""
    image = images.get(tx, actor, image_id)
    _shared(image)
    statement = select(Member).where(Member.image_id == image_id).order_by(Member.created_at, Member.member_id)
    if not actor.is_admin and image.owner != actor.project_id:
        statement = statement.where(Member.member_id == actor.project_id)
    return list(tx.execute(statement).scalars())


def get(tx: Tx, actor: Actor, image_id: str, member_id: str) -> Member:
    """One member. Raises NotFound where there is none, or the actor may not know."""
    for member in index(tx, actor, image_id):
        if member.member_id == member_id:
            return member
    raise NotFound(f"{member_id} not found in the member list of the image {image_id}.")


def update(tx: Tx, actor: Actor, image_id: str, member_id: str, status: str) -> Member:
    """A project accepts or rejects. Raises BadRequest, NotFound, Forbidden for everybody else, the owner included."""
    if status not in STATUSES:
        raise BadRequest(f"Invalid status {status!r}; it must be one of {', '.join(STATUSES)}.")
    member = get(tx, actor, image_id, member_id)
    if not actor.is_admin and actor.project_id != member_id:
        raise Forbidden("Only the member itself may change its status.")
    member.status, member.updated_at = status, tx.execute(select(func.clock_timestamp())).scalar_one()
    return member


def delete(tx: Tx, actor: Actor, image_id: str, member_id: str) -> None:
    """Stop sharing. Raises NotFound, Forbidden for all but the owner."""
    images.get_own(tx, actor, image_id)
    tx.delete(get(tx, actor, image_id, member_id))
