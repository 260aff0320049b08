"""`/v3/credentials`: secrets of users, of any type. Everyone manages his own; the blob is shown to who may see the credential."""

from __future__ import annotations

from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import ID, NAME, NO_NUL, TEXT
from identity.api import bodies, views
from identity.api.shapes.answers import OPTIONAL_STRING, STRING, changed, listed, resource, shown
from identity.api.shapes.query import queried
from identity.models import Credential
from identity.service import credential, crypt

Body = dict[str, Any]
PATH = "/v3/credentials/{credential_id}"
BLOB = {"type": "string", "maxLength": 65535, "pattern": NO_NUL}
GIVEN = {"blob": BLOB, "type": NAME, "user_id": ID, "project_id": bodies.OPTIONAL_ID}
ROW = resource(
    {"blob": STRING, "type": STRING, "user_id": STRING, "project_id": OPTIONAL_STRING},
    "blob", "type", "user_id", "project_id", extra=True,
)  # fmt: skip
ONE = shown("credential", ROW)


def _view(request: Request, row: Credential) -> Body:
    return {
        **row.extra, "id": row.id, "blob": crypt.decrypt(row.blob), "type": row.type, "user_id": row.user_id, "project_id": row.project_id,
        "links": {"self": request.url(f"/v3/credentials/{row.id}")},
    }  # fmt: skip


@operation(
    "POST", "/v3/credentials", action=None, status=201, guarded=("identity:create_credential",), secret=True,
    body=bodies.body("credential", GIVEN, "blob", "type", "user_id"), answer=ONE,
)  # fmt: skip
def create_credential(request: Request) -> Body:
    """Create a credential."""
    values, actor = request.body["credential"], request.actor
    credential.must_come_in_person(actor)
    if values["user_id"] != actor.user_id:
        request.must("identity:create_credential")
    return {"credential": _view(request, request.run(lambda tx: credential.create_credential(tx, values)))}


@operation(
    "GET", "/v3/credentials", action=None, guarded=("identity:list_credentials",), query={"user_id": TEXT, **queried("type")},
    answer=listed("credentials", ROW),
)  # fmt: skip
def list_credentials(request: Request) -> Body:
    """List one's credentials, or everyone's."""
    wanted = views.filters(request, "user_id", "type")
    found = credential.list_credentials(request.actor, wanted, everyones=request.may("identity:list_credentials"))
    return views.listing(request, "credentials", found, Credential, _view)


@operation("GET", PATH, action=None, guarded=("identity:get_credential",), answer=ONE)
def get_credential(request: Request) -> Body:
    """Show a credential."""
    credential_id, actor = request.path["credential_id"], request.actor
    row = request.read(lambda tx: credential.find_credential(tx, credential_id, actor, lambda: request.must("identity:get_credential")))
    return {"credential": _view(request, row)}


@operation("PATCH", PATH, action=None, guarded=("identity:update_credential",), body=changed("credential", GIVEN, extra=True), answer=ONE)
def update_credential(request: Request) -> Body:
    """Change a credential."""
    credential_id, actor, values = request.path["credential_id"], request.actor, request.body["credential"]
    row = request.run(
        lambda tx: credential.update_credential(tx, credential_id, actor, lambda: request.must("identity:update_credential"), values)
    )
    return {"credential": _view(request, row)}


@operation("DELETE", PATH, action=None, guarded=("identity:delete_credential",), status=204)
def delete_credential(request: Request) -> None:
    """Delete a credential."""
    credential_id, actor = request.path["credential_id"], request.actor
    request.run(lambda tx: credential.delete_credential(tx, credential_id, actor, lambda: request.must("identity:delete_credential")))
