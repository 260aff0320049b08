"""`/v3/OS-REVOKE/events`; and what became of the certificates of signed tokens, which old clients still ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from common.api.operation import operation
from common.api.request import Request
from common.api.shapes import TEXT, array, obj
from common.errors import BadRequest, Forbidden, Gone
from identity.api import views
from identity.api.shapes.answers import PAGES, STRING
from identity.models import RevokedToken
from identity.service import revoke

Body = dict[str, Any]
EVENT = obj({"audit_id": STRING, "issued_before": STRING, "revoked_at": STRING}, required=("audit_id", "issued_before", "revoked_at"))
EVENTS = obj({"events": array(EVENT), "links": PAGES}, required=("events", "links"))
NO_CERTIFICATES = "This API is no longer available due to the removal of support for PKI tokens."


@operation("GET", "/v3/OS-REVOKE/events", action="identity:list_revoke_events", query={"since": TEXT}, answer=EVENTS)
def list_revoke_events(request: Request) -> Body:
    """List the tokens that were revoked, or (`since`) those after a moment."""
    rows = request.read(lambda tx: revoke.list_events(tx, _since(request)))
    links = {"next": None, "self": views.self_link(request), "previous": None}
    return {"events": [_event(row) for row in rows], "links": links}


def _since(request: Request) -> datetime | None:
    """A moment without a zone is in UTC."""
    given = request.query.one("since")
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given.replace(" ", "+"))  # a + that the client did not encode
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(f"Invalid query parameter since: {given!r} is not a date and time of ISO 8601.") from None


def _event(row: RevokedToken) -> Body:
    moment = views.moment(row.revoked_at)
    return {"audit_id": row.audit_id, "issued_before": moment, "revoked_at": moment}


@operation("GET", "/v3/OS-SIMPLE-CERT/ca", action=None, status=410, token=False)
def get_ca_certificate(_request: Request) -> None:
    """Gone (410), for no token is signed with a certificate: that of who signed the certificates."""
    raise Gone(NO_CERTIFICATES)


@operation("GET", "/v3/OS-SIMPLE-CERT/certificates", action=None, status=410, token=False)
def get_signing_certificate(_request: Request) -> None:
    """Gone (410), for no token is signed with a certificate: the certificates."""
    raise Gone(NO_CERTIFICATES)


@operation("GET", "/v3/auth/tokens/OS-PKI/revoked", action=None, status=403, token=False)
def list_revoked_tokens(_request: Request) -> None:
    """Refused to everybody (403): `/v3/OS-REVOKE/events` lists the tokens that were revoked."""
    raise Forbidden("You are not authorized to perform the requested action.")
