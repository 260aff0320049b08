"""The keys that sign tokens, and tokens that were revoked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base
from identity.models.base import SCHEMA


class SigningKey(Base):
    """The public half of a key that signs tokens. `state`: staged (next), primary (signs), secondary (only checks)."""

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint("state IN ('staged', 'primary', 'secondary')", name="state"),
        # One of each at a time, whoever rotates at the same moment.
        Index("uq_signing_key_state", "state", unique=True, postgresql_where=text("state <> 'secondary'")),
        {"schema": SCHEMA},
    )

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    public_pem: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))
    retired_at: Mapped[datetime | None]


class PrivateKeyPem(Base):
    """The private half."""

    __tablename__ = "private_key"
    __table_args__ = ({"schema": SCHEMA},)

    kid: Mapped[str] = mapped_column(String(32), ForeignKey(f"{SCHEMA}.signing_key.kid", ondelete="CASCADE"), primary_key=True)
    private_pem: Mapped[str]


class RevokedToken(Base):
    """A token that was revoked before its time; the row may go when `expires_at` has passed."""

    __tablename__ = "revoked_token"
    __table_args__ = (Index(None, "expires_at"), {"schema": SCHEMA})

    audit_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))
