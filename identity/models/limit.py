"""How much of what a project or a domain may have, for services that ask."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.db import Base
from identity.models.base import SCHEMA, new_id, ref


class RegisteredLimit(Base):
    """What holds where nothing else is said. As in Keystone it outlives its service and its region, until an administrator takes it away."""

    __tablename__ = "registered_limit"
    __table_args__ = (
        UniqueConstraint("service_id", "region_id", "resource_name", postgresql_nulls_not_distinct=True),
        {"schema": SCHEMA},
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    service_id: Mapped[str] = mapped_column(String(64))
    region_id: Mapped[str | None] = mapped_column(String(255))
    resource_name: Mapped[str] = mapped_column(String(255))
    default_limit: Mapped[int] = mapped_column(Integer)
    description: Mapped[str | None]


class Limit(Base):
    """What one project or one domain has instead."""

    __tablename__ = "limit"
    __table_args__ = (
        UniqueConstraint("registered_limit_id", "project_id", "domain_id", postgresql_nulls_not_distinct=True),
        CheckConstraint("num_nonnulls(project_id, domain_id) = 1", name="one_bearer"),
        Index(None, "project_id"),
        Index(None, "domain_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    registered_limit_id: Mapped[str] = mapped_column(String(64), ref("registered_limit", cascade=False))
    project_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    domain_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    resource_limit: Mapped[int] = mapped_column(Integer)
    description: Mapped[str | None]

    # What it overrides; a query that needs it says so.
    registered: Mapped[RegisteredLimit] = relationship(lazy="raise")
