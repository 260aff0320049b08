"""Roles, which imply which, and to whom they are given on what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, Named, ref


class Role(Named, Base):
    """A role; with `domain_id`, one that a domain made for itself and that counts only by what it implies."""

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("domain_id", "name", postgresql_nulls_not_distinct=True),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    domain_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    options: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class ImpliedRole(Base):
    """Who has the prior role has the implied one."""

    __tablename__ = "implied_role"
    __table_args__ = (Index(None, "implied_role_id"), {"schema": SCHEMA})

    prior_role_id: Mapped[str] = mapped_column(String(64), ref("role"), primary_key=True)
    implied_role_id: Mapped[str] = mapped_column(String(64), ref("role"), primary_key=True)


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
    user_id: Mapped[str | None] = mapped_column(String(64), ref("user"))
    group_id: Mapped[str | None] = mapped_column(String(64), ref("group"))
    target: Mapped[str] = mapped_column(String(16))
    target_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    role_id: Mapped[str] = mapped_column(String(64), ref("role"))
    inherited: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
