"""Roles of users and groups on projects, domains and the system: give (PUT), look (HEAD, GET), take (DELETE).

Under `/v3/OS-INHERIT` those that hold on the projects below a project or a domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from common.api.operation import Handler, operation
from common.api.request import Request
from common.api.shapes import Shape
from identity.api import views
from identity.api.shapes import role as shapes
from identity.api.shapes.answers import PAGING
from identity.models import Role
from identity.service import grant
from identity.service.grant import Place

Body = dict[str, Any]
SYSTEM = "/v3/system"
# Each with what it is in words.
PLACES = {"/v3/projects/{project_id}": "on a project", "/v3/domains/{domain_id}": "on a domain", SYSTEM: "on the system"}
INHERITED = {
    "/v3/OS-INHERIT/projects/{project_id}": "on the projects below a project", "/v3/OS-INHERIT/domains/{domain_id}": "on the projects of a domain",
}  # fmt: skip
BEARERS = {"/users/{user_id}": "a user", "/groups/{group_id}": "a group"}
ROLES, ONE, BELOW = "/roles", "/roles/{role_id}", "/inherited_to_projects"
CHECK = "Check that {who} is granted a role {where}."
QUERY: Mapping[str, Mapping[str, Shape]] = {ROLES: PAGING, ONE: {}}


def _everywhere(
    method: str, path: str, summary: str, action: str, on_system: str, status: int = 204, answer: Shape | None = None
) -> Callable[[Handler], Handler]:
    """Declare the operation for both bearers on each place, and for what is inherited from there; `on_system` is the action on the system.

    summary: with `{who}` and `{where}`.
    """

    def declare(handler: Handler) -> Handler:
        for (place, where), (bearer, who) in product((PLACES | INHERITED).items(), BEARERS.items()):
            allowed, whole = on_system if place == SYSTEM else action, place + bearer + path + (BELOW if place in INHERITED else "")
            told = summary.format(who=who, where=where)
            operation(method, whole, action=allowed, status=status, query=QUERY[path], answer=answer, summary=told)(handler)
        return handler

    return declare


def _place(request: Request) -> Place:
    """Who and where, as the path says."""
    path = request.path
    target = next((kind for kind in ("project", "domain") if f"{kind}_id" in path), "system")
    inherited = request.operation.path.endswith(BELOW)
    return Place(target, path.get(f"{target}_id"), path.get("user_id"), path.get("group_id"), inherited=inherited)


@_everywhere(
    "GET",
    ROLES,
    "List the roles that are granted to {who} {where}.",
    "identity:list_grants",
    "identity:list_system_grants",
    200,
    shapes.ROLES,
)
def list_grants(request: Request) -> Body:
    """List the roles that are granted there."""
    statement = request.read(lambda tx: grant.list_given(tx, request.actor, _place(request)))
    return views.listing(request, "roles", statement, Role, views.role)


@_everywhere("PUT", ONE, "Grant {who} a role {where}.", "identity:create_grant", "identity:create_system_grant")
def create_grant(request: Request) -> None:
    """Grant a role."""
    request.run(lambda tx: grant.give(tx, request.actor, _place(request), request.path["role_id"]))


@_everywhere("HEAD", ONE, CHECK, "identity:check_grant", "identity:check_system_grant")
@_everywhere("GET", ONE, CHECK, "identity:check_grant", "identity:check_system_grant")
def check_grant(request: Request) -> None:
    """Check that a role is granted."""
    request.read(lambda tx: grant.check(tx, request.actor, _place(request), request.path["role_id"]))


@_everywhere(
    "DELETE",
    ONE,
    "Take a role {where} from {who}; it counts at the next check of a token.",
    "identity:revoke_grant",
    "identity:revoke_system_grant",
)
def revoke_grant(request: Request) -> None:
    """Take a role back; it counts at the next check of a token."""
    request.run(lambda tx: grant.take(tx, request.actor, _place(request), request.path["role_id"]))
    request.service.authenticate.forget()
