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
PLACES = ("/v3/projects/{project_id}", "/v3/domains/{domain_id}", SYSTEM)
INHERITED = ("/v3/OS-INHERIT/projects/{project_id}", "/v3/OS-INHERIT/domains/{domain_id}")
BEARERS = ("/users/{user_id}", "/groups/{group_id}")
ROLES, ONE, BELOW = "/roles", "/roles/{role_id}", "/inherited_to_projects"
QUERY: Mapping[str, Mapping[str, Shape]] = {ROLES: PAGING, ONE: {}}


def _everywhere(
    method: str, path: str, action: str, on_system: str, status: int = 204, answer: Shape | None = None
) -> Callable[[Handler], Handler]:
    """Declare the operation for both bearers on each place, and for what is inherited from there; `on_system` is the action on the system."""

    def declare(handler: Handler) -> Handler:
        for place, bearer in product(PLACES, BEARERS):
            allowed = on_system if place == SYSTEM else action
            operation(method, place + bearer + path, action=allowed, status=status, query=QUERY[path], answer=answer)(handler)
        for place, bearer in product(INHERITED, BEARERS):
            operation(method, place + bearer + path + BELOW, action=action, status=status, query=QUERY[path], answer=answer)(handler)
        return handler

    return declare


def _place(request: Request) -> Place:
    """Who and where, as the path says."""
    path = request.path
    target = next((kind for kind in ("project", "domain") if f"{kind}_id" in path), "system")
    inherited = request.operation.path.endswith(BELOW)
    return Place(target, path.get(f"{target}_id"), path.get("user_id"), path.get("group_id"), inherited=inherited)


@_everywhere("GET", ROLES, "identity:list_grants", "identity:list_system_grants", 200, shapes.ROLES)
def list_grants(request: Request) -> Body:
    """List the roles that are granted there."""
    statement = request.read(lambda tx: grant.list_given(tx, request.actor, _place(request)))
    return views.listing(request, "roles", statement, Role, views.role)


@_everywhere("PUT", ONE, "identity:create_grant", "identity:create_system_grant")
def create_grant(request: Request) -> None:
    """Grant a role."""
    request.run(lambda tx: grant.give(tx, request.actor, _place(request), request.path["role_id"]))


@_everywhere("HEAD", ONE, "identity:check_grant", "identity:check_system_grant")
@_everywhere("GET", ONE, "identity:check_grant", "identity:check_system_grant")
def check_grant(request: Request) -> None:
    """Check that a role is granted."""
    request.read(lambda tx: grant.check(tx, request.actor, _place(request), request.path["role_id"]))


@_everywhere("DELETE", ONE, "identity:revoke_grant", "identity:revoke_system_grant")
def revoke_grant(request: Request) -> None:
    """Take a role back; it counts at the next check of a token."""
    request.run(lambda tx: grant.take(tx, request.actor, _place(request), request.path["role_id"]))
    request.service.authenticate.forget()
