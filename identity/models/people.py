"""Domains, projects, users and groups."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by
from sqlalchemy.orm import Mapped, column_property, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, Guarded, Named, ref


class Project(Guarded, Base):
    """A project, or a domain (`is_domain`), which owns users and projects and is the parent of the topmost ones.

    tags: the names of its ProjectTag rows, in order; read with the row, and only read.
    """

    if TYPE_CHECKING:
        tags: Mapped[list[str]]

    __tablename__ = "project"
    __table_args__ = (
        # Two domains' names differ too: their domain_id is NULL, and NULLs count as equal.
        UniqueConstraint("domain_id", "name", postgresql_nulls_not_distinct=True),
        CheckConstraint("is_domain = (domain_id IS NULL)", name="domain_has_none"),
        CheckConstraint("is_domain = (parent_id IS NULL)", name="project_has_parent"),
        Index(None, "parent_id"),
        Index("ix_project_domain_in_small_letters", text("lower(name)"), postgresql_where=text("is_domain")),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(default="", server_default="")
    is_domain: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    domain_id: Mapped[str | None] = mapped_column(String(64), ref("project", cascade=False))
    parent_id: Mapped[str | None] = mapped_column(String(64), ref("project", cascade=False))


class User(Guarded, Base):
    """A person or a service that can authenticate. `default_project_id` is a wish; it may name a project that is gone.

    external_id: its name in the directory (LDAP) that the user's domain has, which then knows the password. last_active_on: the day of
    the last log-in.
    """

    __tablename__ = "user"
    __table_args__ = (
        UniqueConstraint("domain_id", "name"),
        UniqueConstraint("domain_id", "external_id"),
        Index(None, "default_project_id", postgresql_where=text("default_project_id IS NOT NULL")),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str] = mapped_column(String(64), ref("project", cascade=False))
    external_id: Mapped[str | None] = mapped_column(String(255))
    default_project_id: Mapped[str | None] = mapped_column(String(64))
    password_expires_at: Mapped[datetime | None]
    last_active_on: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class Password(Base):
    """A password of a user, hashed. The newest is the one that holds; older ones are kept for rules about reuse."""

    __tablename__ = "password"
    __table_args__ = (Index(None, "user_id", "id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    hash: Mapped[str]
    self_service: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class Group(Named, Base):
    """Users of whom one grant speaks at once."""

    __tablename__ = "group"
    __table_args__ = (
        UniqueConstraint("domain_id", "name"),
        UniqueConstraint("domain_id", "external_id"),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(default="", server_default="")
    domain_id: Mapped[str] = mapped_column(String(64), ref("project", cascade=False))
    external_id: Mapped[str | None] = mapped_column(String(255))


class GroupMember(Base):
    """A user is in a group."""

    __tablename__ = "group_member"
    __table_args__ = (Index(None, "group_id"), {"schema": SCHEMA})

    user_id: Mapped[str] = mapped_column(String(64), ref("user"), primary_key=True)
    group_id: Mapped[str] = mapped_column(String(64), ref("group"), primary_key=True)


class ProjectTag(Base):
    """A word that projects are found by."""

    __tablename__ = "project_tag"
    __table_args__ = (Index(None, "name"), {"schema": SCHEMA})

    project_id: Mapped[str] = mapped_column(String(64), ref("project"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)


# An aggregate beside the row, so that a list with its tags is one statement.
_TAGS = func.array_agg(aggregate_order_by(ProjectTag.name, ProjectTag.name.collate("C")), type_=ARRAY(String))
Project.tags = column_property(
    select(func.coalesce(_TAGS, text("ARRAY[]::varchar[]"))).where(ProjectTag.project_id == Project.id).scalar_subquery(),
    expire_on_flush=False,
)


class LoginFailure(Base):
    """How often in a row a user's password was wrong, and when last; a right one removes the row."""

    __tablename__ = "login_failure"
    __table_args__ = ({"schema": SCHEMA},)

    user_id: Mapped[str] = mapped_column(String(64), ref("user"), primary_key=True)
    count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    last_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class DomainConfig(Base):
    """An option of one domain (`/v3/domains/{id}/config`), such as where its LDAP directory is; a secret one is in DomainSecret."""

    __tablename__ = "domain_config"
    __table_args__ = ({"schema": SCHEMA},)

    domain_id: Mapped[str] = mapped_column(String(64), ref("project"), primary_key=True)
    group: Mapped[str] = mapped_column(String(255), primary_key=True)
    option: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)


class DomainSecret(Base):
    """An option of one domain that is never shown; `value` is encrypted."""

    __tablename__ = "domain_secret"
    __table_args__ = ({"schema": SCHEMA},)

    domain_id: Mapped[str] = mapped_column(String(64), ref("project"), primary_key=True)
    group: Mapped[str] = mapped_column(String(255), primary_key=True)
    option: Mapped[str] = mapped_column(String(255), primary_key=True)
    value: Mapped[str]
