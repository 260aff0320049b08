"""Log-in by a browser: sent to the identity provider with a ticket that it brings back, so that any node can finish what another began."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from common.config import CONF
from common.db import Database, Tx
from common.errors import BadRequest, Forbidden, NotFound, Unauthorized
from identity.models import DomainSecret, FederationProtocol, IdentityProvider, RemoteId
from identity.service import crypt
from identity.service.attempt import Who
from identity.service.federation import login, oidc
from identity.service.federation.bearer import ANY_AUDIENCE
from identity.service.federation.login import Asked, Run
from identity.service.federation.provider import client_secret

SECONDS = 600
PURPOSE = "websso"
NOT_BEGUN = f"This log-in was not begun in this browser, or more than {SECONDS // 60} minutes ago. Begin again."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a browser asks for. provider_id, remote_id: at whom, as far as it says so; origin: the dashboard that gets the token."""

    protocol_id: str
    origin: str
    provider_id: str | None = None
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What the provider gave the browser to bring (RFC 6749, section 4.1.2; RFC 9207)."""

    state: str | None = None
    code: str | None = None
    error: str | None = None
    issuer: str | None = None


def begin(db: Database, wanted: Wanted, callback: Callable[[str], str]) -> tuple[str, str]:
    """The URL to which the browser is sent, and the ticket that it keeps. callback: the URL of the provider's way back.

    Raises Unauthorized (dashboard), BadRequest (which provider), NotFound, Forbidden (disabled, no client), ServiceUnavailable.
    """
    must_be_trusted(wanted.origin)
    asked = db.run(lambda tx: login.asked_of(tx, wanted.provider_id or _only_provider(tx, wanted), wanted.protocol_id))
    client = oidc.Client(_issuer(asked.provider, wanted.remote_id), _client_id(asked.provider))
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    flow = oidc.Flow(callback(asked.provider.id), state, nonce, verifier)
    ticket = {
        "state": state, "nonce": nonce, "verifier": verifier, "redirect_uri": flow.redirect_uri, "issuer": client.issuer,
        "provider": asked.provider.id, "protocol": wanted.protocol_id, "origin": wanted.origin,
    }  # fmt: skip
    return oidc.authorization_url(client, flow), crypt.seal(PURPOSE, ticket)


def finish(db: Database, path: tuple[str, str], ticket: str | None, said: Returned, run: Run) -> tuple[Who, str]:
    """Who came back, and the dashboard that gets the token. path: (provider, protocol) of the URL; run: how the writing transaction is run.

    Raises Unauthorized (ticket, the provider's no, its token, dashboard), BadRequest, NotFound, Forbidden, ServiceUnavailable.
    """
    kept = crypt.unseal(PURPOSE, ticket, SECONDS) if ticket else None
    if kept is None or not oidc.same(said.state, kept["state"]) or (kept["provider"], kept["protocol"]) != path:
        raise Unauthorized(NOT_BEGUN)
    must_be_trusted(kept["origin"])
    if said.issuer not in (None, kept["issuer"]):
        raise Unauthorized("The answer is another identity provider's than the one that was asked.")
    if said.error is not None:
        raise Unauthorized(f"The identity provider let nobody in: {oidc.word(said.error)}.")
    if not said.code:
        raise BadRequest("Invalid query parameter code: it is missing.")
    asked, client = db.run(lambda tx: _asked(tx, path, kept["issuer"]))
    flow = oidc.Flow(kept["redirect_uri"], kept["state"], kept["nonce"], kept["verifier"])
    return login.arrive(asked, oidc.claims_for(client, flow, said.code), run), kept["origin"]


def must_be_trusted(origin: str) -> None:
    """Raise Unauthorized, in Keystone's words, for a dashboard that the configuration does not name."""
    if origin not in CONF.identity.trusted_dashboard:
        raise Unauthorized(f"{origin} is not a trusted dashboard host")


def _asked(tx: Tx, path: tuple[str, str], issuer: str) -> tuple[Asked, oidc.Client]:
    asked = login.asked_of(tx, *path)
    kept = tx.get(DomainSecret, client_secret(asked.provider))
    secret = crypt.decrypt(kept.value) if kept is not None else None
    return asked, oidc.Client(_issuer(asked.provider, issuer), _client_id(asked.provider), secret)


def _only_provider(tx: Tx, wanted: Wanted) -> str:
    """The provider that is meant where its id is not said."""
    found = (
        select(IdentityProvider.id)
        .join(FederationProtocol, FederationProtocol.identity_provider_id == IdentityProvider.id)
        .where(IdentityProvider.enabled, FederationProtocol.id == wanted.protocol_id)
        .limit(2)
    )
    if wanted.remote_id is not None:
        found = found.join(RemoteId, RemoteId.identity_provider_id == IdentityProvider.id).where(RemoteId.remote_id == wanted.remote_id)
    ids = tx.scalars(found).all()
    if not ids:
        called = f" called {wanted.remote_id}" if wanted.remote_id is not None else ""
        raise NotFound(f"Could not find an enabled identity provider{called} with the protocol {wanted.protocol_id}.")
    if len(ids) > 1:
        raise BadRequest(
            f"Several identity providers have the protocol {wanted.protocol_id}: name one by the query parameter idp (its id) or remote_id."
        )
    return ids[0]


def _issuer(provider: IdentityProvider, remote_id: str | None) -> str:
    """The provider's issuer that is asked: its only remote id, or the one that was named."""
    known = provider.remote_ids
    if not known:
        raise Forbidden("The identity provider has no remote_ids: nobody is known who could be asked.")
    if remote_id is None and len(known) > 1:
        raise BadRequest(f"The identity provider {provider.id} has several remote ids: name one by the query parameter remote_id.")
    if remote_id is not None and remote_id not in known:
        raise BadRequest(f"Invalid query parameter remote_id: the identity provider {provider.id} is not called {remote_id}.")
    return remote_id or known[0]


def _client_id(provider: IdentityProvider) -> str:
    found = provider.extra.get("client_id")
    if not isinstance(found, str) or found in ("", ANY_AUDIENCE):
        raise Forbidden(f"Nobody can log in at the identity provider {provider.id} by a browser: it has no client_id.")
    return found
