"""Access tokens of OpenID providers: a JWT (RFC 9068, or an ID token) that its issuer signed for us becomes its claims."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, ImmatureSignatureError, InvalidAudienceError, PyJWTError

from common.errors import Forbidden, Unauthorized
from identity.service.federation.issuer import issuer_of

# Asymmetric ones only, with the type of key that each needs: a public key is never taken for a shared secret.
ALGORITHMS = {
    **{f"{family}{bits}": "RSA" for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP",
}  # fmt: skip
LONGEST = 16384
LEEWAY_SECONDS = 10
ANY_AUDIENCE = "*"
HEADER = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)
REFUSED = "The identity provider's token does not hold"
WHY = {
    ExpiredSignatureError: "it has expired", ImmatureSignatureError: "it is not yet valid",
    InvalidAudienceError: "it was issued for another audience",
}  # fmt: skip


def token_of(authorization: str | None) -> str:
    """The JWT in the header Authorization. Raises Unauthorized, also for a token that is none."""
    found = HEADER.fullmatch(authorization or "")
    if found is None or len(found[1]) > LONGEST:
        raise Unauthorized("The request needs the header Authorization: Bearer, with an access token that is a JWT.")
    return found[1]


def verify(raw: str, issuers: Sequence[str], audiences: Sequence[str]) -> dict[str, Any]:
    """The claims of an access token that one of `issuers` signed for one of `audiences` (`*`: whomever).

    Raises Unauthorized; Forbidden where the provider names no issuers or no audiences, since any token would do then; ServiceUnavailable
    while the issuer's keys cannot be had. Waits for the network: no transaction is open.
    """
    if not issuers:
        raise Forbidden("The identity provider has no remote_ids: nobody is known who could have issued the access token.")
    if not audiences:
        raise Forbidden("The identity provider has no audiences: it must name for whom access tokens are issued that count here.")
    header, issuer = _unverified(raw)
    key_type = ALGORITHMS.get(str(header.get("alg")))
    if key_type is None or issuer not in issuers:
        raise Unauthorized(f"{REFUSED}: its algorithm or its issuer is not accepted.")
    kid = header.get("kid")
    key = issuer_of(issuer).key(kid if isinstance(kid, str) else None, key_type)
    if key is None:
        raise Unauthorized(f"{REFUSED}: its issuer has no such key.")
    return _checked(raw, key.key, header["alg"], issuer, audiences)


def _unverified(raw: str) -> tuple[dict[str, Any], Any]:
    """The header, and the issuer that the token claims."""
    try:
        whole = jwt.decode_complete(raw, options={"verify_signature": False})
        return whole["header"], whole["payload"].get("iss")
    except (PyJWTError, ValueError, RecursionError):
        raise Unauthorized(f"{REFUSED}: it is no JWT.") from None


def _checked(raw: str, key: Any, algorithm: str, issuer: str, audiences: Sequence[str]) -> dict[str, Any]:
    whomever = ANY_AUDIENCE in audiences
    needed = ["exp", "iss"] if whomever else ["exp", "iss", "aud"]
    try:
        return jwt.decode(
            raw, key, algorithms=[algorithm], issuer=issuer, audience=None if whomever else list(audiences), leeway=LEEWAY_SECONDS,
            options={"require": needed, "verify_aud": not whomever},
        )  # fmt: skip
    except (PyJWTError, ValueError, TypeError) as error:
        why = next((words for kind, words in WHY.items() if isinstance(error, kind)), "its signature or its claims are wrong")
        raise Unauthorized(f"{REFUSED}: {why}.") from None
