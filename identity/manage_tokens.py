"""`wolke-manage identity decode-token` and `clean-up`: what a token says and why it does not hold; and rows that nothing can use any more."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from sqlalchemy import ColumnElement, delete

from common.db import Base, Database, clock
from common.errors import Unauthorized
from identity.models import AccessToken, OAuthNonce, RequestToken, RevokedToken, Trust, VouchedMember
from identity.service import standing
from identity.service.keys import ring_of
from identity.service.standing import Standing
from identity.service.token import Token, decode

# Everything with an end, which no list shows and no log-in takes when that has passed.
OVER: tuple[tuple[type[Base], ColumnElement[bool]], ...] = (
    (RevokedToken, RevokedToken.expires_at < clock()),
    (VouchedMember, VouchedMember.expires_at < clock()),
    (OAuthNonce, OAuthNonce.expires_at < clock()),
    (RequestToken, RequestToken.expires_at < clock()),
    (AccessToken, AccessToken.expires_at < clock()),
    (Trust, Trust.expires_at < clock()),
)


def explain(db: Database, raw: str) -> dict[str, Any]:
    """What the token says, and `ended_by`: everything that has ended it, as sentences; empty while it holds.

    Raises Unauthorized for what was not signed here, or ended more than two days ago.
    """
    token = decode(raw, ring_of(db), allow_expired=True)
    found = standing.look(db, token)
    return {
        "user_id": token.user_id, "scope": {"kind": token.scope.kind, "id": token.scope.id}, "methods": token.methods,
        "audit_ids": token.audit_ids, "issued_at": token.issued_at.isoformat(), "expires_at": token.expires_at.isoformat(),
        "key": token.kid, "delegation": _named(token.delegation), "federation": token.federation,
        "roles": sorted(name for _, name in found.roles) if found else [], "ended_by": _ends(token, found),
    }  # fmt: skip


def _named(delegation: Any) -> dict[str, str] | None:
    return {"kind": delegation.kind, "id": delegation.id} if delegation is not None else None


def _ends(token: Token, found: Standing | None) -> list[str]:
    if found is None:
        return ["Its user, or what it stands on, is gone."]
    told = (
        (token.expired, "Its time is over."),
        (found.revoked, "It was revoked."),
        (not found.key_known, "The key that signed it is gone."),
        (not found.user_live, "Its user or the user's domain is disabled."),
        (not found.scope_live, "Its project, domain or the last role on it is gone, or it is disabled."),
        (token.user_epoch != found.epochs[0], "Its user's password was changed, or the user was disabled, since it was issued."),
        (token.scope_epoch != found.epochs[1], "Its project or domain was disabled since it was issued, or what it stands on changed."),
        (token.delegation is not None and not (found.delegation or {}).get("live"), "What it stands on is over, or one of its people is disabled."),
    )  # fmt: skip
    return [sentence for holds, sentence in told if holds]


def clean_up(db: Database) -> dict[str, int]:
    """Delete what is over; how many rows of each table. Harmless at any time: log-ins and lists do not see them anyway."""

    def every(tx: Any) -> dict[str, int]:
        return {model.__tablename__: tx.execute(delete(model).where(over)).rowcount for model, over in OVER}

    return db.run(every)


def add_commands(commands: Any, database: Callable[[], Database]) -> None:
    """Add `identity decode-token` and `identity clean-up`."""
    asked = commands.add_parser("decode-token", help="say what a token says and whether it holds; it is read from standard input")
    asked.set_defaults(func=lambda _asked: _decode(database))
    clean = commands.add_parser("clean-up", help="delete what has expired: revocations, trusts, OAuth tokens, memberships; for cron")
    clean.set_defaults(func=lambda _asked: _clean(database))


def _decode(database: Callable[[], Database]) -> int:
    raw = (sys.stdin.readline() if not sys.stdin.isatty() else getpass.getpass("Token: ")).strip()
    with closing(database()) as db:
        try:
            print(json.dumps(explain(db, raw), indent=2))
        except Unauthorized:
            print("No key of this cloud signed this, or it ended more than two days ago.", file=sys.stderr)
            return 1
    return 0


def _clean(database: Callable[[], Database]) -> int:
    with closing(database()) as db:
        for table, count in clean_up(db).items():
            print(f"{table}: {count}")
    return 0
