"""Credentials of a user, and application credentials with what they may do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Boolean, Index, SmallInteger, String, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Mapped, column_property, mapped_column

from common.db import Base
from identity.models.base import SCHEMA, Named, new_id, ref
from identity.models.role import Role


class Credential(Named, Base):
    """A secret of a user in a form of its `type` (ec2, totp, cert, …). `blob` is encrypted; an ec2 one's id is the SHA-256 of its access key.

    used_step: of a totp one, the step of time (30 s) of the last passcode that let in.
    """

    __tablename__ = "credential"
    __table_args__ = (Index(None, "user_id", "type"), Index(None, "project_id"), {"schema": SCHEMA})

    user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    project_id: Mapped[str | None] = mapped_column(String(64), ref("project"))
    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str]
    used_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class AccessRule(Base):
    """A request that an application credential may make: `path` of `service` (a type) by `method`."""

    __tablename__ = "access_rule"
    __table_args__ = (UniqueConstraint("user_id", "service", "path", "method"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    service: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(512))
    method: Mapped[str] = mapped_column(String(16))


class ApplicationCredential(Base):
    """What a user lets a program do in his name: some of his roles on one project. `restricted`: it makes no further credentials.

    roles: id, name and domain_id of each; access_rules: id, service, path and method of each; read with the row, and only read.
    """

    if TYPE_CHECKING:
        roles: Mapped[list[dict[str, Any]]]
        access_rules: Mapped[list[dict[str, Any]]]

    __tablename__ = "application_credential"
    __table_args__ = (UniqueConstraint("user_id", "name"), Index(None, "project_id"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    user_id: Mapped[str] = mapped_column(String(64), ref("user"))
    project_id: Mapped[str] = mapped_column(String(64), ref("project"))
    expires_at: Mapped[datetime | None]
    restricted: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("common.now()"))


class ApplicationCredentialSecret(Base):
    """The hash of its secret: a fast one of a secret that we made, a slow one of a secret that somebody chose."""

    __tablename__ = "application_credential_secret"
    __table_args__ = ({"schema": SCHEMA},)

    application_credential_id: Mapped[str] = mapped_column(String(64), ref("application_credential"), primary_key=True)
    hash: Mapped[str]


class ApplicationCredentialRole(Base):
    """A role that the credential gives, while its user has it."""

    __tablename__ = "application_credential_role"
    __table_args__ = (Index(None, "role_id"), {"schema": SCHEMA})

    application_credential_id: Mapped[str] = mapped_column(String(64), ref("application_credential"), primary_key=True)
    role_id: Mapped[str] = mapped_column(String(64), ref("role"), primary_key=True)


class ApplicationCredentialAccessRule(Base):
    """A rule that the credential has, shown by position; one with none may make any request. A rule in use stays."""

    __tablename__ = "application_credential_access_rule"
    __table_args__ = (Index(None, "access_rule_id"), {"schema": SCHEMA})

    application_credential_id: Mapped[str] = mapped_column(String(64), ref("application_credential"), primary_key=True)
    access_rule_id: Mapped[str] = mapped_column(String(64), ref("access_rule", cascade=False), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, server_default="0")


_HAS_ROLE, _HAS_RULE, _NONE = ApplicationCredentialRole, ApplicationCredentialAccessRule, text("'[]'::json")
_ROLE = func.json_build_object("id", Role.id, "name", Role.name, "domain_id", Role.domain_id)
_RULE = func.json_build_object("id", AccessRule.id, "service", AccessRule.service, "path", AccessRule.path, "method", AccessRule.method)
# Aggregates beside the row, so that a list with all of it is one statement.
ApplicationCredential.roles = column_property(
    select(func.coalesce(func.json_agg(aggregate_order_by(_ROLE, Role.name, Role.id), type_=JSON), _NONE))
    .join(_HAS_ROLE, _HAS_ROLE.role_id == Role.id).where(_HAS_ROLE.application_credential_id == ApplicationCredential.id)
    .scalar_subquery(),
    expire_on_flush=False,
)  # fmt: skip
ApplicationCredential.access_rules = column_property(
    select(func.coalesce(func.json_agg(aggregate_order_by(_RULE, _HAS_RULE.position, AccessRule.id), type_=JSON), _NONE))
    .select_from(AccessRule).join(_HAS_RULE, _HAS_RULE.access_rule_id == AccessRule.id).where(_HAS_RULE.application_credential_id == ApplicationCredential.id)
    .scalar_subquery(),
    expire_on_flush=False,
)  # fmt: skip
