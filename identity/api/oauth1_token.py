"""`/v3/OS-OAUTH1`: how a consumer comes by an access token. Its requests are signed, and answered as forms (RFC 5849)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.api.operation import Answer, operation
from common.api.request import Request
from common.api.shapes import array, obj, wrapped
from common.errors import BadRequest, TooLarge
from identity.api import views
from identity.api.shapes.answers import STRING
from identity.api.trust import WANTED_ROLES
from identity.service import oauth1_token as service
from identity.service.oauth1_signature import FORM, Signed

MOST_BYTES = 16384
AUTHORIZED = wrapped("token", obj({"oauth_verifier": STRING}, required=("oauth_verifier",)))
# What the signature covers of a body, if one came; the rest stands in the header Authorization.
SIGNED = {FORM: obj({}, extra=True)}
TOKEN = obj(
    {"oauth_token": STRING, "oauth_token_secret": STRING, "oauth_expires_at": STRING}, required=("oauth_token", "oauth_token_secret"),
)  # fmt: skip
ROLES = obj({"roles": array(WANTED_ROLES["items"], minItems=1, maxItems=1000)}, required=("roles",))


def _signed(request: Request) -> Signed:
    """The request as its client signed it. Raises BadRequest, TooLarge."""
    authorization = request.header("Authorization")
    if not authorization:
        raise BadRequest("The request needs the header Authorization, with a signature of OAuth 1.0a.")
    body = ""
    if (request.http.content_type or "").split(";")[0].strip().lower() == FORM:
        data = request.http.bounded_stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise TooLarge(f"The form is larger than the {MOST_BYTES} bytes allowed.")
        body = data.decode("latin-1")
    return Signed(views.self_link(request), authorization, body)


def _form(token_id: str, secret: str, expires_at: datetime | None) -> Answer:
    """As Keystone writes it: the moment is not escaped."""
    text = f"oauth_token={token_id}&oauth_token_secret={secret}"
    if expires_at is not None:
        text += f"&oauth_expires_at={views.moment(expires_at)}"
    data = text.encode()
    return Answer(stream=iter([data]), headers={"Content-Type": FORM, "Content-Length": str(len(data))})


@operation("POST", "/v3/OS-OAUTH1/request_token", action=None, status=201, token=False, raw=True, takes=SIGNED, secret=True, gives=FORM, answer=TOKEN)  # fmt: skip
def create_request_token(request: Request) -> Answer:
    """Let a consumer ask for access to a project, which the header Requested-Project-Id names."""
    signed, project_id = _signed(request), request.header("Requested-Project-Id")
    signed.named("oauth_consumer_key")
    if not project_id:
        raise BadRequest("The request needs the header Requested-Project-Id.")
    row, secret = request.run(lambda tx: service.create_request_token(tx, signed, project_id))
    return _form(row.id, secret, row.expires_at)


@operation(
    "PUT",
    "/v3/OS-OAUTH1/authorize/{request_token_id}",
    action="identity:authorize_request_token",
    secret=True,
    body=ROLES,
    answer=AUTHORIZED,
)
def authorize_request_token(request: Request) -> dict[str, Any]:
    """Say yes to a consumer, for some of one's own roles on the project that it asks for."""
    actor, token_id = request.actor, request.path["request_token_id"]
    service.must_be_the_user(actor)
    asked = request.read(lambda tx: service.get_request_token(tx, token_id))
    role_ids = service.authorize(request.service.db, actor, asked.project_id, request.body["roles"])
    return {"token": {"oauth_verifier": request.run(lambda tx: service.give_verifier(tx, actor, token_id, role_ids))}}


@operation("POST", "/v3/OS-OAUTH1/access_token", action=None, status=201, token=False, raw=True, takes=SIGNED, secret=True, gives=FORM, answer=TOKEN)  # fmt: skip
def create_access_token(request: Request) -> Answer:
    """Give a consumer an access token in exchange for an authorized request token."""
    signed = _signed(request)
    row, secret = request.run(lambda tx: service.create_access_token(tx, signed))
    return _form(row.id, secret, row.expires_at)
