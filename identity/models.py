"""Tables of identity (PostgreSQL schema `identity`). Only this service writes them; `identity.public` reads them for the others.

`password` and `private_key` are readable by the role wolke_identity alone. See `common/grants.py`.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base

SCHEMA = "identity"
DEFAULT_DOMAIN = "default"


def new_id() -> str:
    """A random id as Keystone prints it: 32 hex digits."""
    return uuid.uuid4().hex


def _ref(table: str, *, cascade: bool = True) -> ForeignKey:
    return ForeignKey(f"{SCHEMA}.{table}.id", ondelete="CASCADE" if cascade else None)


class Named:
    """A resource of the API: its id, and the attributes that a client invented (`extra`)."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class Guarded(Named):
    """A resource that can be switched off.

    `epoch` rises with whatever ends the tokens given out before: a token carries the epoch that it was issued under.
    """

    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    epoch: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class Project(Guarded, Base):
    """A project, or a domain (`is_domain`), which owns users and projects and is the parent of the topmost ones."""

    __tablename__ = "project"
    __table_args__ = (
        # Two domains' names differ too: their domain_id is NULL, and NULLs count as equal.
        UniqueConstraint("domain_id", "name", postgresql_nulls_not_distinct=True),
        CheckConstraint("is_domain = (domain_id IS NULL)", name="domain_has_none"),
        CheckConstraint("is_domain = (parent_id IS NULL)", name="project_has_parent"),
        Index(None, "parent_id"),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(default="", server_default="")
    is_domain: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    domain_id: Mapped[str | None] = mapped_column(String(64), _ref("project", cascade=False))
    parent_id: Mapped[str | None] = mapped_column(String(64), _ref("project", cascade=False))


class User(Guarded, Base):
    """A person or a service that can authenticate. `default_project_id` is a wish; it may name a project that is gone."""

    __tablename__ = "user"
    __table_args__ = (UniqueConstraint("domain_id", "name"), {"schema": SCHEMA})

    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str] = mapped_column(String(64), _ref("project", cascade=False))
    default_project_id: Mapped[str | None] = mapped_column(String(64))
    password_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class Password(Base):
    """A password of a user, hashed. The newest is the one that holds; older ones are kept for rules about reuse."""

    __tablename__ = "password"
    __table_args__ = (Index(None, "user_id", "id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), _ref("user"))
    hash: Mapped[str]
    self_service: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class Group(Named, Base):
    """Users of whom one grant speaks at once."""

    __tablename__ = "group"
    __table_args__ = (UniqueConstraint("domain_id", "name"), {"schema": SCHEMA})

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(default="", server_default="")
    domain_id: Mapped[str] = mapped_column(String(64), _ref("project", cascade=False))


class GroupMember(Base):
    """A user is in a group."""

    __tablename__ = "group_member"
    __table_args__ = (Index(None, "group_id"), {"schema": SCHEMA})

    user_id: Mapped[str] = mapped_column(String(64), _ref("user"), primary_key=True)
    group_id: Mapped[str] = mapped_column(String(64), _ref("group"), primary_key=True)


class Role(Named, Base):
    """A role; with `domain_id`, one that a domain made for itself and that counts only by what it implies."""

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("domain_id", "name", postgresql_nulls_not_distinct=True),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    domain_id: Mapped[str | None] = mapped_column(String(64), _ref("project"))
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class ImpliedRole(Base):
    """Who has the prior role has the implied one."""

    __tablename__ = "implied_role"
    __table_args__ = (Index(None, "implied_role_id"), {"schema": SCHEMA})

    prior_role_id: Mapped[str] = mapped_column(String(64), _ref("role"), primary_key=True)
    implied_role_id: Mapped[str] = mapped_column(String(64), _ref("role"), primary_key=True)


class Assignment(Base):
    """A role given to a user or a group on a project, a domain or the system (`target`); `target_id` is NULL for the system.

    `inherited`: it holds on the projects below the target, and not on the target.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint(
            "user_id", "group_id", "target", "target_id", "role_id", "inherited",
            name="uq_assignment_grant", postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("num_nonnulls(user_id, group_id) = 1", name="one_bearer"),
        CheckConstraint("target IN ('project', 'domain', 'system')", name="target"),
        CheckConstraint("(target = 'system') = (target_id IS NULL)", name="target_id"),
        Index(None, "group_id", "target_id", postgresql_where=text("group_id IS NOT NULL")),
        Index(None, "user_id", "target_id", postgresql_where=text("user_id IS NOT NULL")),
        Index(None, "target_id"),
        Index(None, "role_id"),
        {"schema": SCHEMA},
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(String(64), _ref("user"))
    group_id: Mapped[str | None] = mapped_column(String(64), _ref("group"))
    target: Mapped[str] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(64), _ref("project"))
    role_id: Mapped[str] = mapped_column(String(64), _ref("role"))
    inherited: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))


class Region(Base):
    """A place that endpoints belong to; the client may choose its id."""

    __tablename__ = "region"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_id)
    description: Mapped[str] = mapped_column(default="", server_default="")
    parent_region_id: Mapped[str | None] = mapped_column(String(255), _ref("region", cascade=False))
    extra: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class Service(Named, Base):
    """A service of the catalogue."""

    __tablename__ = "service"
    __table_args__ = ({"schema": SCHEMA},)

    type: Mapped[str] = mapped_column(String(255))
    name: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))


class Endpoint(Named, Base):
    """Where a service answers, for one interface of one region."""

    __tablename__ = "endpoint"
    __table_args__ = (
        CheckConstraint("interface IN ('public', 'internal', 'admin')", name="interface"),
        Index(None, "service_id"),
        {"schema": SCHEMA},
    )

    service_id: Mapped[str] = mapped_column(String(64), _ref("service"))
    region_id: Mapped[str | None] = mapped_column(String(255), _ref("region", cascade=False))
    interface: Mapped[str] = mapped_column(String(8))
    url: Mapped[str]
    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))


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
