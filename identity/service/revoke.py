"""Revoked tokens, as a list for those who would rather check tokens themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from common.db import Tx, clock
from identity.models import RevokedToken


def list_events(tx: Tx, since: datetime | None) -> list[RevokedToken]:
    """The tokens that were revoked and could still be asked about, of those after `since`, oldest first."""
    statement = select(RevokedToken).where(RevokedToken.expires_at > clock())
    if since is not None:
        statement = statement.where(RevokedToken.revoked_at > since)
    return list(tx.scalars(statement.order_by(RevokedToken.revoked_at, RevokedToken.audit_id)))
