"""`/v3/groups`, and who is in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import bodies, views
from identity.api.shapes import group as shapes
from identity.api.shapes.user import USERS, USERS_QUERY
from identity.models import Group, User
from identity.service import group, look, user
from identity.service.rows import find

Body = dict[str, Any]
MEMBER = "/v3/groups/{group_id}/users/{user_id}"


@operation("POST", "/v3/groups", action="identity:create_group", status=201, body=bodies.body("group", shapes.GROUP_IN, "name"), answer=shapes.GROUP)  # fmt: skip
def create_group(request: Request) -> Body:
    """Create a group."""
    return {"group": views.group(request, request.run(lambda tx: group.create_group(tx, request.actor, request.body["group"])))}


@operation("GET", "/v3/groups", action="identity:list_groups", query=shapes.GROUP_QUERY, answer=shapes.GROUPS)
def list_groups(request: Request) -> Body:
    """List groups."""
    wanted = views.filters(request, "name", "domain_id")
    if "marker" not in request.query:
        look.see_groups(request.service.db, (request.source, request.actor.user_id), request.actor, wanted)
    return views.listing(request, "groups", group.list_groups(request.actor, wanted), Group, views.group)


@operation("GET", "/v3/groups/{group_id}", action="identity:get_group", answer=shapes.GROUP)
def get_group(request: Request) -> Body:
    """Show a group."""
    look.see_group(request.service.db, (request.source, request.actor.user_id), request.actor, request.path["group_id"])
    return {"group": views.group(request, request.read(lambda tx: group.get_group(tx, request.actor, request.path["group_id"])))}


@operation(
    "PATCH", "/v3/groups/{group_id}", action="identity:update_group", body=bodies.body("group", shapes.GROUP_IN), answer=shapes.GROUP
)
def update_group(request: Request) -> Body:
    """Change a group."""
    row = request.run(lambda tx: group.update_group(tx, request.actor, request.path["group_id"], request.body["group"]))
    return {"group": views.group(request, row)}


@operation("DELETE", "/v3/groups/{group_id}", action="identity:delete_group", status=204)
def delete_group(request: Request) -> None:
    """Delete a group."""
    request.run(lambda tx: group.delete_group(tx, request.actor, request.path["group_id"]))
    request.service.authenticate.forget()


@operation("GET", "/v3/groups/{group_id}/users", action="identity:list_users_in_group", query=USERS_QUERY, answer=USERS)  # fmt: skip
def list_users_in_group(request: Request) -> Body:
    """List the members of a group."""
    group_id, actor = request.path["group_id"], request.actor
    look.see_group(request.service.db, (request.source, actor.user_id), actor, group_id, members=True)
    request.read(lambda tx: group.get_group(tx, actor, group_id))
    wanted = views.filters(request, "name", "domain_id", flags=("enabled",))
    return views.listing(
        request, "users", user.users_of(actor, group_id, wanted, request.query.all("password_expires_at")), User, views.user
    )


@operation("GET", "/v3/users/{user_id}/groups", action=None, guarded=("identity:list_groups_for_user",), query=shapes.GROUP_QUERY, answer=shapes.GROUPS_OF_USER)  # fmt: skip
def list_groups_for_user(request: Request) -> Body:
    """List the groups that a user is in; `membership_expires_at` of one that a provider vouches for."""
    user_id, actor = request.path["user_id"], request.actor
    if user_id != actor.user_id:
        request.must("identity:list_groups_for_user")
        request.read(lambda tx: find(tx, User, user_id, "user", actor))
    look.see_user(request.service.db, (request.source, actor.user_id), actor, user_id)
    ends = request.read(lambda tx: group.memberships_end(tx, user_id))
    statement = group.groups_of(actor, user_id, views.filters(request, "name", "domain_id"))
    return views.listing(request, "groups", statement, Group, lambda request, row: _of_user(request, row, ends))


def _of_user(request: Request, row: Group, ends: Mapping[str, datetime]) -> Body:
    return {**views.group(request, row), "membership_expires_at": views.expiry(ends.get(row.id))}


@operation("PUT", MEMBER, action="identity:add_user_to_group", status=204)
def add_member(request: Request) -> None:
    """Put a user into a group."""
    request.run(lambda tx: group.add_member(tx, request.actor, request.path["group_id"], request.path["user_id"]))


@operation("GET", MEMBER, action="identity:check_user_in_group", status=204)
@operation("HEAD", MEMBER, action="identity:check_user_in_group", status=204)
def check_member(request: Request) -> None:
    """Check that a user is in a group."""
    look.see_user(request.service.db, (request.source, request.actor.user_id), request.actor, request.path["user_id"])
    request.read(lambda tx: group.check_member(tx, request.actor, request.path["group_id"], request.path["user_id"]))


@operation("DELETE", MEMBER, action="identity:remove_user_from_group", status=204)
def remove_member(request: Request) -> None:
    """Take a user out of a group."""
    request.run(lambda tx: group.remove_member(tx, request.actor, request.path["group_id"], request.path["user_id"]))
    request.service.authenticate.forget()
