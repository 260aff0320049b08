"""/v2/images/{id}/members: with whom a shared image is shared."""

from __future__ import annotations

from typing import Any

from common.api.answer_shapes import STRING, always
from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import ID, array, obj
from image.api.shapes import MEMBER, member_view
from image.service import members

LIST = always({"members": array(MEMBER), "schema": STRING})


@operation("GET", "/images/{image_id}/members", action="image:member:list", answer=LIST)
def index(request: Request) -> dict[str, Any]:
    """The members that the actor may know of."""
    rows = request.read(lambda tx: members.index(tx, request.actor, request.path["image_id"]))
    return {"members": [member_view(row) for row in rows], "schema": "/v2/schemas/members"}


@operation(
    "POST", "/images/{image_id}/members", action="image:member:create", body=obj({"member": ID}, required=("member",)), answer=MEMBER
)
def create(request: Request) -> dict[str, Any]:
    """Share the image with a project."""
    return request.run(lambda tx: member_view(members.create(tx, request.actor, request.path["image_id"], request.body["member"])))


@operation("GET", "/images/{image_id}/members/{member_id}", action="image:member:show", answer=MEMBER)
def show(request: Request) -> dict[str, Any]:
    """One member."""
    return request.read(lambda tx: member_view(members.get(tx, request.actor, request.path["image_id"], request.path["member_id"])))


@operation(
    "PUT", "/images/{image_id}/members/{member_id}", action="image:member:update",
    body=obj({"status": {"type": "string"}, "member": ID}, required=("status",)), answer=MEMBER,
)  # fmt: skip
def update(request: Request) -> dict[str, Any]:
    """Accept or reject a shared image. Clients name the member in the body too; the path says who it is."""
    path, status = request.path, request.body["status"]
    return request.run(lambda tx: member_view(members.update(tx, request.actor, path["image_id"], path["member_id"], status)))


@operation("DELETE", "/images/{image_id}/members/{member_id}", action="image:member:delete", status=204)
def delete(request: Request) -> None:
    """Stop sharing the image with a project."""
    request.run(lambda tx: members.delete(tx, request.actor, request.path["image_id"], request.path["member_id"]))
