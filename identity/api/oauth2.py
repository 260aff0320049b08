"""`/v3/OS-OAUTH2/token`: access tokens for programs that speak OAuth 2.0, and its own way to say no (RFC 6749, 5.2)."""

from __future__ import annotations

from typing import Any

from common.api.operation import FORM, Answer, operation
from common.api.request import Request
from common.api.shapes import Checker, obj
from common.config import CONF
from common.errors import ApiError, BadRequest
from identity.api import bodies
from identity.api.shapes.answers import STRING
from identity.service import oauth2

MOST_BYTES = 16384
NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
TOKEN: dict[str, Any] = obj(
    {"access_token": STRING, "token_type": {"enum": ["Bearer"]}, "expires_in": {"type": "integer", "minimum": 0}},
    required=("access_token", "token_type", "expires_in"),
)  # fmt: skip
ASKED = obj({"grant_type": {"enum": [oauth2.GRANT]}, "client_id": STRING, "client_secret": STRING}, required=("grant_type",), extra=True)
REFUSED = obj({"error": STRING, "error_description": STRING}, required=("error", "error_description"))

# What the form names, or the header, becomes a log-in of this shape.
CLIENT = Checker(bodies.APPLICATION_CREDENTIAL)


def _form(request: Request) -> bytes:
    try:
        form: bytes = request.http.bounded_stream.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        raise BadRequest(f"The request body did not arrive whole: {error}.") from None
    return form


@operation(
    "POST", "/v3/OS-OAUTH2/token", action=None, token=False, raw=True, takes={FORM: ASKED}, statuses=(400, 401, 403, 429),
    answer={"anyOf": [TOKEN, REFUSED]},
)  # fmt: skip
def create_access_token(request: Request) -> Answer:
    """Give an access token to an application credential."""
    try:
        client = oauth2.read_client(_form(request), request.header("Authorization"))
        CLIENT(client.given, what="client")
        issued = oauth2.issue(request.service.db, request.source, client, CONF.identity.token_ttl)
    except ApiError as error:
        body = {"error": oauth2.name_of(error), "error_description": error.message}
        challenge = {"WWW-Authenticate": 'Basic realm="identity"'} if error.status == 401 else {}
        return Answer(body, status=error.status, headers={**error.headers, **NOT_KEPT, **challenge})
    seconds = int((issued.token.expires_at - issued.token.issued_at).total_seconds())
    return Answer({"access_token": issued.raw, "token_type": "Bearer", "expires_in": seconds}, headers=NOT_KEPT)
