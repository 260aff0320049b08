"""A token on the wire: who, for what scope, by which methods, until when. No roles: those are asked of SQL at each check.

ES256 over a compact payload; under 1 KB whatever its bearer may do.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from common.errors import Unauthorized
from identity.service.keys import EXPIRED_WINDOW, KeyRing

ALGORITHM = "ES256"
MAX_LENGTH = 1024
INVALID = "The request you have made requires authentication."
_JWS = PyJWS(algorithms=[ALGORITHM])
_KID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is for. kind: project, domain, system, or none; `id` names the project or domain."""

    kind: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Delegation:
    """What a token stands on beside its user. kind: application_credential, trust, or access_token (of OAuth 1.0a)."""

    kind: str
    id: str


UNSCOPED = Scope("none")
SYSTEM = Scope("system")


@dataclass(frozen=True, slots=True)
class Token:
    """The payload. `user_epoch` and `scope_epoch` are those of the rows when it was issued; times are whole seconds, in UTC.

    federation: (identity provider, protocol) of a user whom another vouched for.
    """

    user_id: str
    scope: Scope
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    user_epoch: int
    scope_epoch: int
    kid: str = ""
    delegation: Delegation | None = None
    federation: tuple[str, str] | None = None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= now()


def now() -> datetime:
    """The moment, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def new_audit_id() -> str:
    """22 characters that no other token has."""
    return secrets.token_urlsafe(16)


def encode(token: Token, ring: KeyRing) -> str:
    """The signed form."""
    kid, key = ring.signer()
    payload: dict[str, Any] = {
        "sub": token.user_id, "iat": int(token.issued_at.timestamp()), "exp": int(token.expires_at.timestamp()),
        "m": token.methods, "a": token.audit_ids, "ue": token.user_epoch,
    }  # fmt: skip
    if token.scope.kind != "none":
        payload["s"] = token.scope.kind
    if token.scope_epoch:
        payload["se"] = token.scope_epoch
    if token.scope.id is not None:
        payload["t"] = token.scope.id
    if token.delegation is not None:
        payload["d"] = (token.delegation.kind, token.delegation.id)
    if token.federation is not None:
        payload["f"] = token.federation
    return _JWS.encode(json.dumps(payload, separators=(",", ":")).encode(), key, ALGORITHM, {"kid": kid})


def decode(raw: str, ring: KeyRing, *, allow_expired: bool = False) -> Token:
    """The payload behind `raw`, if the signature holds and its time is not over (`allow_expired`: for not longer than two days).

    Raises Unauthorized. Says nothing of whether it was revoked; see `identity.service.standing`.
    """
    try:
        kid = _kid(raw)
        key = ring.public(kid)
        if key is None:
            raise Unauthorized(INVALID)
        token = _parse(json.loads(_JWS.decode(raw, key, [ALGORITHM])), kid)
    except (PyJWTError, ValueError):
        raise Unauthorized(INVALID) from None
    limit = token.expires_at + EXPIRED_WINDOW if allow_expired else token.expires_at
    if limit <= datetime.now(UTC):
        raise Unauthorized(INVALID)
    return token


def _kid(raw: str) -> str:
    """The name of the key that the token says it was signed with. Raises ValueError."""
    if len(raw) > MAX_LENGTH:
        raise ValueError("longer than any token of ours")
    return _kid_of(raw.partition(".")[0])


@functools.lru_cache(maxsize=64)
def _kid_of(head: str) -> str:
    """The same of the token's first part, which all tokens of a key share. Raises ValueError, PyJWTError."""
    kid = _JWS.get_unverified_header(head + "..").get("kid")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise ValueError("not a key's name of ours")
    return kid


def _parse(payload: dict[str, Any], kid: str) -> Token:
    return Token(
        user_id=payload["sub"], scope=Scope(payload.get("s", "none"), payload.get("t")), methods=tuple(payload["m"]),
        audit_ids=tuple(payload["a"]), issued_at=_moment(payload["iat"]), expires_at=_moment(payload["exp"]),
        user_epoch=payload["ue"], scope_epoch=payload.get("se", 0), kid=kid,
        delegation=Delegation(*payload["d"]) if "d" in payload else None, federation=tuple(payload["f"]) if "f" in payload else None,
    )  # fmt: skip


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def lifetime(ttl: int, *limits: datetime | None) -> tuple[datetime, datetime]:
    """When a token issued now begins and ends: after `ttl` seconds, or at the first of `limits`."""
    issued = now()
    return issued, min([issued + timedelta(seconds=ttl), *(limit.replace(microsecond=0) for limit in limits if limit is not None)])


def audit_ids(parent: Token | None) -> tuple[str, ...]:
    """A new audit id, and that of the first of the line that the token comes from."""
    return (new_audit_id(),) if parent is None else (new_audit_id(), parent.audit_ids[-1])
