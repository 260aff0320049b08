"""OAuth 2.0 client credentials (RFC 6749, 4.4): the client is an application credential, the access token one of ours."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import parse_qs

from common.db import Database
from common.errors import ApiError, BadRequest, Unauthorized
from identity.service import auth
from identity.service.application_credential import KIND
from identity.service.attempt import Attempt
from identity.service.auth import Issued

GRANT = "client_credentials"
FAILED = "Client authentication failed."


class UnsupportedGrant(BadRequest):
    """Another grant than the one that there is."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as it says."""

    id: str
    secret: str

    @property
    def given(self) -> dict[str, str]:
        """It as a log-in names an application credential."""
        return {"id": self.id, "secret": self.secret}


def read_client(form: bytes, authorization: str | None) -> Client:
    """The client of a request: by HTTP Basic, or by client_id and client_secret of the form. Raises BadRequest, Unauthorized."""
    given = _fields(form)
    if not given.get("grant_type"):
        raise BadRequest("The parameter grant_type is required.")
    if given["grant_type"] != GRANT:
        raise UnsupportedGrant(f"The parameter grant_type {given['grant_type'][:64]} is not supported.")
    client = _basic(authorization) or Client(given.get("client_id", ""), given.get("client_secret", ""))
    if not client.id or not client.secret:
        raise Unauthorized(FAILED)
    return client


def _fields(form: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(form.decode(), keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise BadRequest("The body is not application/x-www-form-urlencoded.") from None
    if any(len(values) > 1 or "\x00" in values[0] for values in fields.values()):
        raise BadRequest("A parameter is there twice, or holds a NUL character.")
    return {name: values[0] for name, values in fields.items()}


def _basic(authorization: str | None) -> Client | None:
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, found, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Unauthorized(FAILED) from None
    return Client(name, secret) if found and "\x00" not in name + secret else None


def issue(db: Database, address: str, client: Client, ttl: int) -> Issued:
    """The token of an application credential, whose shape holds. address: the client's; ttl: seconds. Raises Unauthorized, TooManyRequests."""
    return auth.log_in(Attempt(db, address, {"identity": {"methods": [KIND], KIND: client.given}}), ttl)


def name_of(error: ApiError) -> str:
    """What RFC 6749, 5.2, and Keystone where that has no name, call a refusal."""
    if isinstance(error, UnsupportedGrant):
        return "unsupported_grant_type"
    return {400: "invalid_request", 401: "invalid_client"}.get(error.status, "other_error")
