"""Roles of users and groups on projects, domains and the system: give (PUT), look (HEAD, GET), take (DELETE)."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from identity.api import views
from identity.models import Role
from identity.service import grant
from identity.service.grant import Place

Body = dict[str, Any]
ON_PROJECT_USER = "/v3/projects/{project_id}/users/{user_id}/roles"
ON_PROJECT_GROUP = "/v3/projects/{project_id}/groups/{group_id}/roles"
ON_DOMAIN_USER = "/v3/domains/{domain_id}/users/{user_id}/roles"
ON_DOMAIN_GROUP = "/v3/domains/{domain_id}/groups/{group_id}/roles"
ON_SYSTEM_USER = "/v3/system/users/{user_id}/roles"
ON_SYSTEM_GROUP = "/v3/system/groups/{group_id}/roles"
ONE = "/{role_id}"


def _place(request: Request) -> Place:
    """Who and where, as the path says."""
    path = request.path
    target = next((kind for kind in ("project", "domain") if f"{kind}_id" in path), "system")
    return Place(target, path.get(f"{target}_id"), path.get("user_id"), path.get("group_id"))


@operation("GET", ON_PROJECT_USER, action="identity:list_grants")
@operation("GET", ON_PROJECT_GROUP, action="identity:list_grants")
@operation("GET", ON_DOMAIN_USER, action="identity:list_grants")
@operation("GET", ON_DOMAIN_GROUP, action="identity:list_grants")
@operation("GET", ON_SYSTEM_USER, action="identity:list_system_grants")
@operation("GET", ON_SYSTEM_GROUP, action="identity:list_system_grants")
def list_grants(request: Request) -> Body:
    """List the roles that are granted there."""
    statement = request.read(lambda tx: grant.list_given(tx, request.actor, _place(request)))
    return views.listing(request, "roles", statement, Role, views.role)


@operation("PUT", ON_PROJECT_USER + ONE, action="identity:create_grant", status=204)
@operation("PUT", ON_PROJECT_GROUP + ONE, action="identity:create_grant", status=204)
@operation("PUT", ON_DOMAIN_USER + ONE, action="identity:create_grant", status=204)
@operation("PUT", ON_DOMAIN_GROUP + ONE, action="identity:create_grant", status=204)
@operation("PUT", ON_SYSTEM_USER + ONE, action="identity:create_system_grant", status=204)
@operation("PUT", ON_SYSTEM_GROUP + ONE, action="identity:create_system_grant", status=204)
def create_grant(request: Request) -> None:
    """Grant a role."""
    request.run(lambda tx: grant.give(tx, request.actor, _place(request), request.path["role_id"]))


@operation("HEAD", ON_PROJECT_USER + ONE, action="identity:check_grant", status=204)
@operation("HEAD", ON_PROJECT_GROUP + ONE, action="identity:check_grant", status=204)
@operation("HEAD", ON_DOMAIN_USER + ONE, action="identity:check_grant", status=204)
@operation("HEAD", ON_DOMAIN_GROUP + ONE, action="identity:check_grant", status=204)
@operation("HEAD", ON_SYSTEM_USER + ONE, action="identity:check_system_grant", status=204)
@operation("HEAD", ON_SYSTEM_GROUP + ONE, action="identity:check_system_grant", status=204)
@operation("GET", ON_PROJECT_USER + ONE, action="identity:check_grant", status=204)
@operation("GET", ON_PROJECT_GROUP + ONE, action="identity:check_grant", status=204)
@operation("GET", ON_DOMAIN_USER + ONE, action="identity:check_grant", status=204)
@operation("GET", ON_DOMAIN_GROUP + ONE, action="identity:check_grant", status=204)
@operation("GET", ON_SYSTEM_USER + ONE, action="identity:check_system_grant", status=204)
@operation("GET", ON_SYSTEM_GROUP + ONE, action="identity:check_system_grant", status=204)
def check_grant(request: Request) -> None:
    """Check that a role is granted."""
    request.read(lambda tx: grant.check(tx, request.actor, _place(request), request.path["role_id"]))


@operation("DELETE", ON_PROJECT_USER + ONE, action="identity:revoke_grant", status=204)
@operation("DELETE", ON_PROJECT_GROUP + ONE, action="identity:revoke_grant", status=204)
@operation("DELETE", ON_DOMAIN_USER + ONE, action="identity:revoke_grant", status=204)
@operation("DELETE", ON_DOMAIN_GROUP + ONE, action="identity:revoke_grant", status=204)
@operation("DELETE", ON_SYSTEM_USER + ONE, action="identity:revoke_system_grant", status=204)
@operation("DELETE", ON_SYSTEM_GROUP + ONE, action="identity:revoke_system_grant", status=204)
def revoke_grant(request: Request) -> None:
    """Take a role back; it counts at the next check of a token."""
    request.run(lambda tx: grant.take(tx, request.actor, _place(request), request.path["role_id"]))
    request.service.authenticate.forget()
