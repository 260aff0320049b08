"""`/v3/users/{id}/OS-OAUTH1/access_tokens`: what a user lets programs do. No token that stands on a delegation sees them."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import obj
from identity.api import views
from identity.api.shapes.answers import OPTIONAL_STRING, PAGING, STRING, listed, shown
from identity.api.trust import SHOWN_ROLE
from identity.models import AccessToken, Role
from identity.service import oauth1_token as service
from identity.service import role

Body = dict[str, Any]
ALL = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
PATH = ALL + "/{access_token_id}"
ROW = obj(
    {
        "id": STRING, "consumer_id": STRING, "authorizing_user_id": STRING, "project_id": STRING, "expires_at": OPTIONAL_STRING,
        "links": obj({"self": STRING, "roles": STRING}, required=("self", "roles")),
    },
    required=("id", "consumer_id", "authorizing_user_id", "project_id", "expires_at", "links"),
)  # fmt: skip


def _view(request: Request, row: AccessToken) -> Body:
    link = request.url(f"/v3/users/{row.authorizing_user_id}/OS-OAUTH1/access_tokens/{row.id}")
    return {
        "id": row.id, "consumer_id": row.consumer_id, "authorizing_user_id": row.authorizing_user_id, "project_id": row.project_id,
        "expires_at": views.moment(row.expires_at) if row.expires_at is not None else None, "links": {"self": link, "roles": link + "/roles"},
    }  # fmt: skip


def _user(request: Request, action: str) -> str:
    """The user of the path, whose own business it is, or that of who may."""
    service.must_be_the_user(request.actor)
    user_id = request.path["user_id"]
    if user_id != request.actor.user_id:
        request.must(action)
    return user_id


def _seen(request: Request, action: str) -> AccessToken:
    user_id = _user(request, action)
    return request.read(lambda tx: service.get_access_token(tx, user_id, request.path["access_token_id"]))


@operation("GET", ALL, action=None, guarded=("identity:list_access_tokens",), query=PAGING, answer=listed("access_tokens", ROW))
def list_access_tokens(request: Request) -> Body:
    """List the access tokens that a user has authorized."""
    user_id = _user(request, "identity:list_access_tokens")
    return views.listing(request, "access_tokens", service.list_access_tokens(user_id), AccessToken, _view)


@operation("GET", PATH, action=None, guarded=("identity:get_access_token",), answer=shown("access_token", ROW))
def get_access_token(request: Request) -> Body:
    """Show an access token."""
    return {"access_token": _view(request, _seen(request, "identity:get_access_token"))}


@operation("DELETE", PATH, action=None, status=204, guarded=("identity:delete_access_token",))
def delete_access_token(request: Request) -> None:
    """Take the access back; its tokens end."""
    user_id = _user(request, "identity:delete_access_token")
    request.run(lambda tx: service.delete_access_token(tx, user_id, request.path["access_token_id"]))
    request.service.authenticate.forget()


@operation(
    "GET", PATH + "/roles", action=None, guarded=("identity:list_access_token_roles",), query=PAGING, answer=listed("roles", SHOWN_ROLE)
)
def list_access_token_roles(request: Request) -> Body:
    """List the roles that an access token gives."""
    row = _seen(request, "identity:list_access_token_roles")
    return views.listing(request, "roles", role.roles_of(row), Role, views.role)


@operation("GET", PATH + "/roles/{role_id}", action=None, guarded=("identity:get_access_token_role",), answer=shown("role", SHOWN_ROLE))
def get_access_token_role(request: Request) -> Body:
    """Show a role that an access token gives."""
    row = _seen(request, "identity:get_access_token_role")
    return {"role": views.role(request, request.read(lambda tx: role.role_of(tx, row, request.path["role_id"])))}
