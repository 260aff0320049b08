"""Receipts: what somebody gets whose methods were right and not enough. Another log-in that brings it has its methods too.

Signed as tokens are, by the same keys; its `kid` is of another form, so that neither is ever taken for the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jwt import PyJWS
from jwt.exceptions import PyJWTError
from sqlalchemy import select

from common.db import Database
from common.errors import Unauthorized
from identity.models import SigningKey
from identity.service.keys import PublicKey, ring_of
from identity.service.token import ALGORITHM, MAX_LENGTH, lifetime

HEADER = "Openstack-Auth-Receipt"
SECONDS = 300
MARK = "receipt-"
INVALID = "The receipt is invalid, or its time is over. Log in anew."
ENABLED, RULES = "multi_factor_auth_enabled", "multi_factor_auth_rules"
_JWS = PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which methods were right for whom. `user_epoch` is the user's then."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    user_epoch: int


class Insufficient(Unauthorized):
    """All methods were right, and the user's rules ask for more. required: the rules that some of the methods belong to."""

    def __init__(self, user: Mapping[str, Any], receipt: Receipt, raw: str, required: list[list[str]]) -> None:
        super().__init__(f"Insufficient auth methods received for {receipt.user_id}. Auth Methods Provided: {', '.join(receipt.methods)}.")
        self.user, self.receipt, self.raw, self.required = user, receipt, raw, required


def enough(options: Mapping[str, Any], methods: Iterable[str], known: Iterable[str]) -> bool:
    """Whether one of the user's rules is satisfied. As in Keystone, a method that there is not (any more) is not asked for."""
    rules = options.get(RULES) or []
    if not rules or options.get(ENABLED) is False:
        return True
    return any(set(methods) >= set(rule) & set(known) for rule in rules)


def issue(db: Database, user: Mapping[str, Any], epoch: int, options: Mapping[str, Any], methods: Iterable[str], known: Iterable[str]) -> Insufficient:  # fmt: skip
    """The refusal with a receipt. user: id, name and domain, as they are shown."""
    issued_at, expires_at = lifetime(SECONDS)
    receipt = Receipt(user["id"], tuple(methods), issued_at, expires_at, epoch)
    rules = [[method for method in rule if method in set(known)] for rule in options[RULES]]
    return Insufficient(user, receipt, _encode(db, receipt), [rule for rule in rules if set(rule) & set(receipt.methods)])


def _encode(db: Database, receipt: Receipt) -> str:
    kid, key = ring_of(db).signer()
    payload = {
        "sub": receipt.user_id, "m": receipt.methods, "ue": receipt.user_epoch, "iat": int(receipt.issued_at.timestamp()),
        "exp": int(receipt.expires_at.timestamp()),
    }  # fmt: skip
    return _JWS.encode(json.dumps(payload, separators=(",", ":")).encode(), key, ALGORITHM, {"kid": MARK + kid})


def read(db: Database, raw: str) -> Receipt:
    """The receipt behind `raw`. Raises Unauthorized."""
    try:
        payload = json.loads(_JWS.decode(raw, _key(db, raw), [ALGORITHM]))
    except (PyJWTError, ValueError):
        raise Unauthorized(INVALID) from None
    issued_at, expires_at = (datetime.fromtimestamp(payload[name], UTC) for name in ("iat", "exp"))
    receipt = Receipt(payload["sub"], tuple(payload["m"]), issued_at, expires_at, payload["ue"])
    if receipt.expires_at <= datetime.now(UTC):
        raise Unauthorized(INVALID)
    return receipt


def _key(db: Database, raw: str) -> PublicKey:
    """The key that it says it was signed with, if that is one of ours still. Raises ValueError, PyJWTError."""
    told = _JWS.get_unverified_header(raw).get("kid") if len(raw) <= MAX_LENGTH else None
    kid = told.removeprefix(MARK) if isinstance(told, str) and told.startswith(MARK) else ""
    key = ring_of(db).public(kid) if kid.isalnum() and kid.isascii() else None
    if key is None or db.run(lambda tx: tx.scalar(select(SigningKey.kid).where(SigningKey.kid == kid))) is None:
        raise ValueError("no key of ours")
    return key
