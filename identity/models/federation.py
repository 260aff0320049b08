"""Users whom another identity provider vouches for, and what they come to here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Mapped, column_property, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, ref


class RemoteId(Base):
    """A name (an issuer) by which the provider calls itself."""

    __tablename__ = "remote_id"
    __table_args__ = (Index(None, "identity_provider_id"), {"schema": SCHEMA})

    remote_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    identity_provider_id: Mapped[str] = mapped_column(String(64), ref("identity_provider"))


class IdentityProvider(Base):
    """An identity provider; its users live in `domain_id`. `authorization_ttl`: minutes that a membership which it vouched for holds."""

    __tablename__ = "identity_provider"
    __table_args__ = (
        Index(None, "domain_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    enabled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    description: Mapped[str | None]
    domain_id: Mapped[str] = mapped_column(String(64), ref("project"))
    authorization_ttl: Mapped[int | None] = mapped_column(Integer)
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    remote_ids: Mapped[list[str]] = column_property(
        select(func.coalesce(func.array_agg(aggregate_order_by(RemoteId.remote_id, RemoteId.remote_id)), text("'{}'")))
        .where(RemoteId.identity_provider_id == id)
        .scalar_subquery()
    )


class FederationMapping(Base):
    """Rules that make a local user, groups and roles of what a provider says."""

    __tablename__ = "mapping"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    rules: Mapped[list[dict[str, Any]]]
    schema_version: Mapped[str] = mapped_column(String(16), default="1.0", server_default="1.0")


class FederationProtocol(Base):
    """By which protocol a provider is asked, and which mapping reads its answer."""

    __tablename__ = "federation_protocol"
    __table_args__ = (
        Index(None, "mapping_id"),
        {"schema": SCHEMA},
    )

    identity_provider_id: Mapped[str] = mapped_column(String(64), ref("identity_provider"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    mapping_id: Mapped[str] = mapped_column(String(64), ref("mapping", cascade=False))
    remote_id_attribute: Mapped[str | None] = mapped_column(String(255))


class ServiceProvider(Base):
    """Another cloud that takes our users."""

    __tablename__ = "service_provider"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    enabled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    description: Mapped[str | None]
    auth_url: Mapped[str]
    sp_url: Mapped[str]
    relay_state_prefix: Mapped[str] = mapped_column(String(256), default="ss:mem:", server_default="ss:mem:")


class FederatedUser(Base):
    """The local user of somebody whom a provider calls `unique_id`."""

    __tablename__ = "federated_user"
    __table_args__ = (
        UniqueConstraint("identity_provider_id", "protocol_id", "unique_id"),
        ForeignKeyConstraint(
            ["identity_provider_id", "protocol_id"],
            [f"{SCHEMA}.federation_protocol.identity_provider_id", f"{SCHEMA}.federation_protocol.id"],
            ondelete="CASCADE",
        ),
        Index(None, "user_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    identity_provider_id: Mapped[str] = mapped_column(String(64))
    protocol_id: Mapped[str] = mapped_column(String(64))
    unique_id: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str | None] = mapped_column(String(255))


class VouchedMember(Base):
    """A user is in a group because a provider said so at the last log-in; it counts until `expires_at`."""

    __tablename__ = "vouched_member"
    __table_args__ = (Index(None, "group_id"), Index(None, "identity_provider_id"), {"schema": SCHEMA})

    user_id: Mapped[str] = mapped_column(String(64), ref("user"), primary_key=True)
    group_id: Mapped[str] = mapped_column(String(64), ref("group"), primary_key=True)
    identity_provider_id: Mapped[str] = mapped_column(String(64), ref("identity_provider"), primary_key=True)
    expires_at: Mapped[datetime]
