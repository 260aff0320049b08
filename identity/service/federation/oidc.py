"""Our side of OpenID Connect's authorization code flow: where a browser is sent, and what its code is worth.

Sources: OpenID Connect Core 1.0, section 3.1; RFC 6749, section 4.1; RFC 7636 (PKCE); RFC 9207 (`iss`).
"""

from __future__ import annotations

import base64
import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote_plus

from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import WebApplicationClient

from common.errors import Forbidden, Unauthorized
from identity.service.federation import bearer, issuer

LOG = logging.getLogger(__name__)
SCOPE = "openid profile email"
ERROR = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class Client:
    """What we are called at an issuer; a public client has no secret."""

    issuer: str
    id: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """One log-in under way: what its end must fit. verifier: of PKCE, 43 to 128 characters."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


def authorization_url(client: Client, flow: Flow) -> str:
    """Where the browser goes. Raises Forbidden for a provider that lets nobody log in so, ServiceUnavailable. May wait for the network."""
    found = issuer.issuer_of(client.issuer).endpoints().authorization
    _must_be_named(found, "authorization_endpoint")
    challenge = WebApplicationClient(client.id).create_code_challenge(flow.verifier, "S256")
    return add_params_to_uri(found, {
        "response_type": "code", "client_id": client.id, "redirect_uri": flow.redirect_uri, "scope": SCOPE, "state": flow.state,
        "nonce": flow.nonce, "code_challenge": challenge, "code_challenge_method": "S256",
    })  # fmt: skip


def claims_for(client: Client, flow: Flow, code: str) -> dict[str, Any]:
    """The verified claims of the ID token that `code` is exchanged for.

    Raises Unauthorized (code, token), Forbidden, ServiceUnavailable while the provider does not answer. Waits for the network: no transaction
    is open.
    """
    raw = _id_token(client, flow, code)
    if len(raw) > bearer.LONGEST:
        raise Unauthorized(f"{bearer.REFUSED}: it is longer than {bearer.LONGEST} bytes.")
    claims = bearer.verify(raw, [client.issuer], [client.id])
    if not same(claims.get("nonce"), flow.nonce):
        raise Unauthorized(f"{bearer.REFUSED}: its nonce is not that of this log-in.")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client.id) != client.id:
        raise Unauthorized(f"{bearer.REFUSED}: it was issued to another client.")
    return claims


def same(given: object, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing."""
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def word(error: object) -> str:
    """An error code of OAuth as it may be shown."""
    return str(error) if ERROR.fullmatch(str(error)) else "unknown error"


def _must_be_named(endpoint: str, what: str) -> None:
    if not endpoint:
        raise Forbidden(f"The identity provider's discovery document names no {what}: nobody can log in there by a browser.")
    issuer.must_be_safe(endpoint)


def _id_token(client: Client, flow: Flow, code: str) -> str:
    status, said = _exchange(client, flow, code)
    found = said.get("id_token")
    if status == 200 and isinstance(found, str):
        return found
    LOG.warning("the token endpoint of the identity provider %s answers %s: %s", client.issuer, status, word(said.get("error")))
    if status >= 500:
        raise issuer.away(f"The identity provider {client.issuer} answers with an error.", 1)
    if status == 200:
        raise Unauthorized("The identity provider gave no ID token: is its client one of OpenID Connect?")
    raise Unauthorized(f"The identity provider does not take the code of this log-in: {word(said.get('error'))}. Begin again.")


def _exchange(client: Client, flow: Flow, code: str) -> tuple[int, Mapping[str, Any]]:
    provider = issuer.issuer_of(client.issuer)
    endpoints = provider.endpoints()
    _must_be_named(endpoints.token, "token_endpoint")
    basic = client.secret is not None and not endpoints.posted
    form = WebApplicationClient(client.id).prepare_request_body(
        code=code, redirect_uri=flow.redirect_uri, code_verifier=flow.verifier, include_client_id=not basic,
        client_secret=None if basic else client.secret,
    )  # fmt: skip
    if not provider.exchanges.acquire(blocking=False):
        raise issuer.away(f"Too many log-ins wait for the identity provider {client.issuer}.", 1)
    try:
        return issuer.post(endpoints.token, form, _basic(client) if basic else {})
    except (OSError, ValueError, RecursionError, HTTPException) as error:
        LOG.warning("the token endpoint of the identity provider %s could not be asked: %s", client.issuer, error)
        raise issuer.away(f"The identity provider {client.issuer} does not answer.", 1) from None
    finally:
        provider.exchanges.release()


def _basic(client: Client) -> dict[str, str]:
    """RFC 6749, section 2.3.1: both parts are encoded as in a form first."""
    pair = f"{quote_plus(client.id)}:{quote_plus(client.secret or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
