"""What one user lets another, or a consumer of OAuth 1.0a, do in his place."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Boolean,
    Index,
    Integer,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, Named, new_id, ref


class Trust(Named, Base):
    """The trustor lets the trustee use some of his roles. `remaining_uses` NULL: any number of tokens; `redelegation_count`: how often on."""

    __tablename__ = "trust"
    __table_args__ = (
        Index(None, "trustor_user_id"),
        Index(None, "trustee_user_id"),
        Index(None, "redelegated_trust_id"),
        Index(None, "project_id"),
        {"schema": SCHEMA},
    )

    trustor_user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    trustee_user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    project_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    impersonation: Mapped[bool] = mapped_column(Boolean)
    expires_at: Mapped[datetime | None]
    remaining_uses: Mapped[int | None] = mapped_column(Integer)
    redelegated_trust_id: Mapped[str | None] = mapped_column(String(64), ref("trust"))
    redelegation_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class TrustRole(Base):
    """A role that the trust gives, while the trustor has it."""

    __tablename__ = "trust_role"
    __table_args__ = (Index(None, "role_id"), {"schema": SCHEMA})

    trust_id: Mapped[str] = mapped_column(String(64), ref("trust"), primary_key=True)
    role_id: Mapped[str] = mapped_column(String(64), ref("role"), primary_key=True)


class Consumer(Named, Base):
    """A program that asks users for access by OAuth 1.0a."""

    __tablename__ = "consumer"
    __table_args__ = ({"schema": SCHEMA},)

    description: Mapped[str | None]


class ConsumerSecret(Base):
    """What it signs its requests with; encrypted, because a signature needs the secret itself."""

    __tablename__ = "consumer_secret"
    __table_args__ = ({"schema": SCHEMA},)

    consumer_id: Mapped[str] = mapped_column(String(64), ref("consumer"), primary_key=True)
    secret: Mapped[str]


class RequestToken(Base):
    """A consumer's question: it becomes an access token once a user has authorized it. `secret` is encrypted."""

    __tablename__ = "request_token"
    __table_args__ = (
        Index(None, "expires_at"), Index(None, "consumer_id"), Index(None, "project_id"), Index(None, "authorizing_user_id"), {"schema": SCHEMA},
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    consumer_id: Mapped[str] = mapped_column(String(64), ref("consumer"))
    secret: Mapped[str]
    project_id: Mapped[str] = mapped_column(String(64), ref("project"))
    authorizing_user_id: Mapped[str | None] = mapped_column(String(64), ref("user"))
    role_ids: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    verifier: Mapped[str | None]
    expires_at: Mapped[datetime | None]


class AccessToken(Base):
    """What a consumer may do in a user's place on one project."""

    __tablename__ = "access_token"
    __table_args__ = (Index(None, "authorizing_user_id"), Index(None, "consumer_id"), Index(None, "project_id"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    consumer_id: Mapped[str] = mapped_column(String(64), ref("consumer"))
    authorizing_user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    project_id: Mapped[str] = mapped_column(String(64), ref("project"))
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class AccessTokenSecret(Base):
    """What the consumer signs with beside its own secret; encrypted."""

    __tablename__ = "access_token_secret"
    __table_args__ = ({"schema": SCHEMA},)

    access_token_id: Mapped[str] = mapped_column(String(64), ref("access_token"), primary_key=True)
    secret: Mapped[str]


class AccessTokenRole(Base):
    """A role that the access token gives, while its user has it."""

    __tablename__ = "access_token_role"
    __table_args__ = (Index(None, "role_id"), {"schema": SCHEMA})

    access_token_id: Mapped[str] = mapped_column(String(64), ref("access_token"), primary_key=True)
    role_id: Mapped[str] = mapped_column(String(64), ref("role"), primary_key=True)


class OAuthNonce(Base):
    """A signed request that was answered, so that it is not answered again. `id` is the hash of consumer, token, timestamp and nonce."""

    __tablename__ = "oauth_nonce"
    __table_args__ = (Index(None, "expires_at"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime]
