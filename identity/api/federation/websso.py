"""`/v3/auth/OS-FEDERATION/…/websso`: a browser is sent to an identity provider, and comes back for a page that takes its token to a dashboard."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import urlsplit

from common.api.operation import Answer, operation
from common.api.request import Request
from common.api.shapes import NO_NUL, TEXT, Shape
from common.config import CONF
from common.errors import BadRequest
from identity.service import auth
from identity.service.federation import websso as service

PATH = "/v3/auth/OS-FEDERATION"
ANY = PATH + "/websso/{protocol_id}"
ONE = PATH + "/identity_providers/{idp_id}/protocols/{protocol_id}/websso"
CALLBACK = ONE + "/callback"
_URL: Shape = {"type": "string", "maxLength": 2048, "pattern": NO_NUL}
_LONG: Shape = {"type": "string", "maxLength": 8192, "pattern": NO_NUL}
BEGIN: dict[str, Shape] = {"origin": _URL, "remote_id": TEXT}
BACK: dict[str, Shape] = {"code": _LONG, "state": TEXT, "error": TEXT, "iss": TEXT}
SCRIPT = "document.forms[0].submit()"
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Log-in</title></head>
<body><form method="post" action="{origin}"><input type="hidden" name="token" value="{token}">
<noscript><input type="submit" value="Continue"></noscript></form>
<script>{script}</script></body></html>
"""


@operation("GET", ANY, action=None, token=False, status=302, query={**BEGIN, "idp": TEXT})
@operation("POST", ANY, action=None, token=False, raw=True, takes={}, status=302, query={**BEGIN, "idp": TEXT})
def begin_websso(request: Request) -> Answer:
    """Send a browser to the only identity provider with the protocol, or to the one that `idp` or `remote_id` names."""
    return _begin(request, request.query.one("idp"))


@operation("GET", ONE, action=None, token=False, status=302, query=BEGIN)
@operation("POST", ONE, action=None, token=False, raw=True, takes={}, status=302, query=BEGIN)
def begin_websso_at(request: Request) -> Answer:
    """Send a browser to the identity provider."""
    return _begin(request, request.path["idp_id"])


def _begin(request: Request, provider_id: str | None) -> Answer:
    origin, protocol_id = request.query.one("origin"), request.path["protocol_id"]
    if not origin:
        raise BadRequest("Request must have an origin query parameter")
    wanted = service.Wanted(protocol_id, origin, provider_id, request.query.one("remote_id"))
    there, ticket = service.begin(
        request.service.db, wanted, lambda found: request.url(CALLBACK.format(idp_id=found, protocol_id=protocol_id))
    )
    headers = {"Location": there, "Set-Cookie": _cookie(request, ticket, service.SECONDS), "Cache-Control": "no-store"}
    return Answer(headers=headers)


@operation("GET", CALLBACK, action=None, token=False, secret=True, query=BACK, gives="text/html")
def finish_websso(request: Request) -> Answer:
    """Take a browser's unscoped token to the dashboard, in a form that sends itself; the page is HTML, as Keystone's is."""
    said = service.Returned(*(request.query.one(name) for name in ("state", "code", "error", "iss")))
    path, ticket = (request.path["idp_id"], request.path["protocol_id"]), request.http.cookies.get(_name(request))
    who, origin = service.finish(request.service.db, path, ticket, said, request.run)
    issued = auth.issue_for(request.service.db, who, "unscoped", CONF.identity.token_ttl)
    page = PAGE.format(origin=escape(origin), token=escape(issued.raw), script=SCRIPT).encode()
    return Answer(stream=iter([page]), headers=_page_headers(request, origin, len(page)))


def _page_headers(request: Request, origin: str, length: int) -> dict[str, str]:
    """Nothing but the one script and the one form; the code in this page's URL is told to nobody."""
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    there = urlsplit(origin)
    policy = (
        "default-src 'none'", f"script-src 'sha256-{script}'", f"form-action {there.scheme}://{there.netloc}",
        "base-uri 'none'", "frame-ancestors 'none'",
    )  # fmt: skip
    return {
        "Content-Type": "text/html; charset=utf-8", "Content-Length": str(length), "Content-Security-Policy": "; ".join(policy),
        "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
        "Set-Cookie": _cookie(request, "", 0),
    }  # fmt: skip


def _is_secure(request: Request) -> bool:
    return request.url("").startswith("https:")


def _name(request: Request) -> str:
    """With the prefix no other host of the domain can plant one (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2)."""
    return "__Host-websso" if _is_secure(request) else "websso"


def _cookie(request: Request, value: str, seconds: int) -> str:
    secure = "; Secure" if _is_secure(request) else ""
    return f"{_name(request)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
