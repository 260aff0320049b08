"""Requests that are signed by OAuth 1.0a (RFC 5849): who signed, whether it holds, and that it was not answered before.

What there is to know of the signer is read first, so that oauthlib's questions need no SQL. A nonce is noted in the transaction of what was
asked, and only once the signature holds: strangers fill nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from oauthlib import oauth1
from oauthlib.common import extract_params
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from common.db import Tx, clock
from common.errors import BadRequest, Unauthorized
from identity.models import OAuthNonce

METHODS = (oauth1.SIGNATURE_HMAC_SHA1, oauth1.SIGNATURE_HMAC_SHA256, oauth1.SIGNATURE_HMAC_SHA512)
# How far the client's clock and ours may differ, in seconds.
LIFETIME = 600
LONGEST = 255
FORM = "application/x-www-form-urlencoded"
BAD_SIGNATURE = "Invalid signature."
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request. url: as the client called it, with the query; body: where it is a form, else empty."""

    url: str
    authorization: str
    body: str = ""

    @property
    def params(self) -> dict[str, str]:
        """The parameters of the header. Raises BadRequest for a header that is none of OAuth's."""
        try:
            return dict(parse_authorization_header(self.authorization))
        except ValueError:
            raise BadRequest('The header Authorization is not of the form: OAuth name="value", …') from None

    def named(self, name: str) -> str:
        """A parameter that must be there. Raises BadRequest."""
        value = self.params.get(name)
        if not value:
            raise BadRequest(f"Expecting to find {name} in the header Authorization of the request.")
        return value

    @property
    def headers(self) -> dict[str, str]:
        """What of its headers counts."""
        return {"Authorization": self.authorization, **({"Content-Type": FORM} if self.body else {})}


def an_id(text: str) -> str:
    """`text`, or an id that nobody has where it cannot be one."""
    return text if _ID.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class Signer:
    """What there is to know of who signs; None where the row is not there. `token` is the request token or the access token."""

    consumer_id: str | None
    secret: str | None
    token_id: str | None = None
    token_secret: str | None = None
    verifier: str | None = None


class _Validator(oauth1.RequestValidator):
    """oauthlib's questions, answered of one signer. A row that is not there has a secret that nobody knows."""

    def __init__(self, signer: Signer) -> None:
        super().__init__()
        self._signer = signer

    allowed_signature_methods = METHODS
    timestamp_lifetime = LIFETIME
    enforce_ssl = False
    dummy_client = dummy_request_token = dummy_access_token = ""

    def check_client_key(self, client_key: str) -> bool:
        return _short(client_key)

    def check_request_token(self, request_token: str) -> bool:
        return _short(request_token)

    def check_access_token(self, request_token: str) -> bool:
        return _short(request_token)

    def check_nonce(self, nonce: str) -> bool:
        return _short(nonce)

    def check_verifier(self, verifier: str) -> bool:
        return _short(verifier)

    def check_realms(self, realms: Any) -> bool:
        return True

    def get_default_realms(self, client_key: str, request: Any) -> list[str]:
        return []

    def get_realms(self, token: str, request: Any) -> list[str]:
        return []

    def validate_timestamp_and_nonce(self, *_args: Any, **_kwargs: Any) -> bool:
        return True

    def validate_requested_realms(self, client_key: str, realms: Any, request: Any) -> bool:
        return True

    def validate_realms(self, *_args: Any, **_kwargs: Any) -> bool:
        return True

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Any) -> bool:
        return True

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return _same(client_key, self._signer.consumer_id)

    def validate_request_token(self, client_key: str, token: str, request: Any) -> bool:
        return _same(token, self._signer.token_id)

    validate_access_token = validate_request_token

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Any) -> bool:
        return _same(verifier, self._signer.verifier)

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return self._signer.secret or secrets.token_hex(16)

    def get_request_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return self._signer.token_secret or secrets.token_hex(16)

    get_access_token_secret = get_request_token_secret

    def save_request_token(self, token: Any, request: Any) -> None:
        """The caller writes its own, in its transaction."""

    save_access_token = save_request_token

    def invalidate_request_token(self, client_key: str, request_token: str, request: Any) -> None:
        """The caller does, in its transaction."""


def _short(text: str) -> bool:
    return 0 < len(text) <= LONGEST


def _same(one: str, other: str | None) -> bool:
    return other is not None and hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def check_request_token(tx: Tx, signed: Signed, signer: Signer) -> None:
    """The consumer asks for a request token. Raises BadRequest, Unauthorized."""
    endpoint = oauth1.RequestTokenEndpoint(_Validator(signer))
    _must_hold(lambda: endpoint.create_request_token_response(signed.url, "POST", signed.body, signed.headers))
    _note(tx, signed)


def check_access_token(tx: Tx, signed: Signed, signer: Signer) -> None:
    """The consumer asks for an access token in exchange for an authorized request token. Raises BadRequest, Unauthorized."""
    endpoint = oauth1.AccessTokenEndpoint(_Validator(signer))
    _must_hold(lambda: endpoint.create_access_token_response(signed.url, "POST", signed.body, signed.headers))
    _note(tx, signed)


def check_login(tx: Tx, signed: Signed, signer: Signer) -> None:
    """The consumer logs in with an access token. Raises Unauthorized."""
    endpoint = oauth1.ResourceEndpoint(_Validator(signer))
    try:
        valid, _ = endpoint.validate_protected_resource_request(signed.url, "POST", signed.body, signed.headers)
    except ValueError:
        valid = False
    if not valid:
        raise Unauthorized
    _note(tx, signed)


def _must_hold(check: Any) -> None:
    try:
        _, told, status = check()
    except ValueError:
        raise BadRequest("The signed request is malformed: its address, query or header cannot be read.") from None
    if status == 401:
        raise Unauthorized(BAD_SIGNATURE)
    if status != 200:
        said = dict(extract_params(told) or ())
        raise BadRequest(f"Validation failed with errors: {said.get('error')}, detail message is: {said.get('error_description')}")


def _note(tx: Tx, signed: Signed) -> None:
    """Note that the request is answered; those that are too old to hold anyway go on the way. Raises Unauthorized for one that was before."""
    params: Mapping[str, str] = signed.params
    parts = [params.get("oauth_" + name, "") for name in ("consumer_key", "token", "timestamp", "nonce")]
    digest = hashlib.sha256("\n".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).hexdigest()
    until = datetime.fromtimestamp(int(params["oauth_timestamp"]), UTC) + timedelta(seconds=LIFETIME + 1)
    tx.execute(delete(OAuthNonce).where(OAuthNonce.expires_at < clock()))
    noted = insert(OAuthNonce).values(id=digest, expires_at=until).on_conflict_do_nothing().returning(OAuthNonce.id)
    if tx.execute(noted).scalar() is None:
        raise Unauthorized("The signed request was answered before: its nonce is used.")
