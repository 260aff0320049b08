"""`/v3/users/{id}/application_credentials`. Secrets are hashed before the transaction opens, and shown once."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import BOOLEAN, ID, LONG_TEXT, NAME, array, obj
from identity.api import bodies, views
from identity.api.access_rule import GIVEN as RULE
from identity.api.access_rule import SHOWN as RULE_SHOWN
from identity.api.shapes.answers import FLAG, OPTIONAL_STRING, STRING, listed, resource, shown
from identity.api.shapes.query import queried
from identity.models import ApplicationCredential
from identity.service import application_credential as service
from identity.service import password

Body = dict[str, Any]
ALL = "/v3/users/{user_id}/application_credentials"
PATH = ALL + "/{application_credential_id}"
ROLE = {**obj({"id": ID, "name": NAME}), "minProperties": 1, "maxProperties": 1}
GIVEN = {
    "name": NAME, "description": LONG_TEXT, "secret": bodies.OPTIONAL_PASSWORD, "expires_at": {"type": ["string", "null"], "maxLength": 64},
    "roles": array(ROLE, maxItems=1000), "unrestricted": BOOLEAN,
    "access_rules": {**array(RULE, maxItems=1000), "type": ["array", "null"]},
}  # fmt: skip
SHOWN = {
    "name": STRING, "description": OPTIONAL_STRING, "project_id": STRING, "user_id": STRING, "expires_at": OPTIONAL_STRING,
    "roles": array(obj({"id": STRING, "name": STRING, "domain_id": OPTIONAL_STRING}, required=("id", "name", "domain_id"))),
    "unrestricted": FLAG, "access_rules": array(RULE_SHOWN),
}  # fmt: skip
ALWAYS = ("name", "description", "project_id", "user_id", "expires_at", "roles", "unrestricted")
ROW = resource(SHOWN, *ALWAYS)
CREATED = resource({**SHOWN, "secret": STRING}, *ALWAYS, "secret")


def _view(request: Request, row: ApplicationCredential) -> Body:
    view: Body = {
        "id": row.id, "name": row.name, "description": row.description, "user_id": row.user_id, "project_id": row.project_id,
        "expires_at": views.expiry(row.expires_at), "roles": row.roles, "unrestricted": not row.restricted,
        "links": {"self": request.url(f"/v3/users/{row.user_id}/application_credentials/{row.id}")},
    }  # fmt: skip
    return {**view, "access_rules": row.access_rules} if row.access_rules else view


@operation(
    "POST", ALL, action=None, status=201, secret=True, body=bodies.body("application_credential", GIVEN, "name"),
    answer=shown("application_credential", CREATED),
)  # fmt: skip
def create_application_credential(request: Request) -> Body:
    """Create an application credential of one's own."""
    values, actor = request.body["application_credential"], request.actor
    service.must_be_unrestricted(actor)
    service.must_be_oneself(actor, request.path["user_id"])
    chosen = values.get("secret")
    secret = chosen or service.new_secret()
    secret_hash = password.hashed((request.source, actor.user_id), secret) if chosen else service.fast_hash(secret)
    row = request.run(lambda tx: service.create_credential(tx, actor, values, secret_hash))
    return {"application_credential": {**_view(request, row), "secret": secret}}


def _user(request: Request, action: str) -> str:
    """The user of the path, whose own business it is, or that of who may."""
    user_id = request.path["user_id"]
    service.must_not_stand_on_another(request.actor)
    if user_id != request.actor.user_id:
        request.must(action)
    return user_id


@operation(
    "GET", ALL, action=None, guarded=("identity:list_application_credentials",), query=queried("name"),
    answer=listed("application_credentials", ROW),
)  # fmt: skip
def list_application_credentials(request: Request) -> Body:
    """List the application credentials of a user."""
    user_id = _user(request, "identity:list_application_credentials")
    found = service.list_credentials(user_id, views.filters(request, "name"))
    return views.listing(request, "application_credentials", found, ApplicationCredential, _view)


@operation("GET", PATH, action=None, guarded=("identity:get_application_credential",), answer=shown("application_credential", ROW))
def get_application_credential(request: Request) -> Body:
    """Show an application credential."""
    user_id, credential_id = _user(request, "identity:get_application_credential"), request.path["application_credential_id"]
    return {"application_credential": _view(request, request.read(lambda tx: service.get_credential(tx, user_id, credential_id)))}


@operation("DELETE", PATH, action=None, guarded=("identity:delete_application_credential",), status=204)
def delete_application_credential(request: Request) -> None:
    """Delete an application credential; its tokens end with it."""
    user_id, credential_id = _user(request, "identity:delete_application_credential"), request.path["application_credential_id"]
    service.must_be_unrestricted(request.actor)
    request.run(lambda tx: service.delete_credential(tx, user_id, credential_id))
    request.service.authenticate.forget()
