"""The catalogue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Identity, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, Named, new_id, ref


class Region(Base):
    """A place that endpoints belong to; the client may choose its id."""

    __tablename__ = "region"
    __table_args__ = (
        Index(None, "parent_region_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_id)
    description: Mapped[str] = mapped_column(default="", server_default="")
    parent_region_id: Mapped[str | None] = mapped_column(String(255), ref("region", cascade=False))
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
        Index(None, "region_id"),
        {"schema": SCHEMA},
    )

    service_id: Mapped[str] = mapped_column(String(64), ref("service"))
    region_id: Mapped[str | None] = mapped_column(String(255), ref("region", cascade=False))
    interface: Mapped[str] = mapped_column(String(8))
    url: Mapped[str]
    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))


class EndpointGroup(Named, Base):
    """The endpoints that `filters` (service_id, region_id, interface) let through, for the projects that it is given to."""

    __tablename__ = "endpoint_group"
    __table_args__ = ({"schema": SCHEMA},)

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    filters: Mapped[dict[str, Any]] = mapped_column(JSONB)


class ProjectEndpoint(Base):
    """An endpoint is in a project's catalogue; a project without any, and without endpoint groups, has them all."""

    __tablename__ = "project_endpoint"
    __table_args__ = (Index(None, "endpoint_id"), {"schema": SCHEMA})

    project_id: Mapped[str] = mapped_column(String(64), ref("project"), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(String(64), ref("endpoint"), primary_key=True)


class ProjectEndpointGroup(Base):
    """The endpoints of a group are in a project's catalogue."""

    __tablename__ = "project_endpoint_group"
    __table_args__ = (Index(None, "endpoint_group_id"), {"schema": SCHEMA})

    project_id: Mapped[str] = mapped_column(String(64), ref("project"), primary_key=True)
    endpoint_group_id: Mapped[str] = mapped_column(String(64), ref("endpoint_group"), primary_key=True)


class Policy(Named, Base):
    """A text that a service may ask for and read as its policy; identity only keeps it."""

    __tablename__ = "policy"
    __table_args__ = ({"schema": SCHEMA},)

    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str]


class PolicyAssociation(Base):
    """A policy is meant for an endpoint, or for a service, or for a service in a region."""

    __tablename__ = "policy_association"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "service_id", "region_id", postgresql_nulls_not_distinct=True),
        CheckConstraint("num_nonnulls(endpoint_id, service_id) = 1", name="endpoint_or_service"),
        CheckConstraint("endpoint_id IS NULL OR region_id IS NULL", name="region_of_service"),
        Index(None, "policy_id"),
        Index(None, "service_id"),
        Index(None, "region_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    policy_id: Mapped[str] = mapped_column(String(64), ref("policy"))
    endpoint_id: Mapped[str | None] = mapped_column(String(64), ref("endpoint"))
    service_id: Mapped[str | None] = mapped_column(String(64), ref("service"))
    region_id: Mapped[str | None] = mapped_column(String(255), ref("region"))
