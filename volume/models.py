"""Tables of the volume service (PostgreSQL schema `volume`); only this service reads or writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base, Desired, Identified

SCHEMA = "volume"


def _ref(table: str) -> ForeignKey:
    return ForeignKey(f"{SCHEMA}.{table}.id")


class VolumeType(Identified, Base):
    """A kind of volume that a client may ask for. There is one default, which is never deleted."""

    __tablename__ = "volume_type"
    __table_args__ = (
        UniqueConstraint("name"),
        Index("uq_volume_type_default", "is_default", unique=True, postgresql_where=text("is_default")),
        {"schema": SCHEMA},
    )

    name: Mapped[str]
    description: Mapped[str | None]
    is_public: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    is_default: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    extra_specs: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")


class Volume(Identified, Desired, Base):
    """A volume; its status is `volume.service.status`. At most one of `image_id` and `snapshot_id` says what it was made from.

    `size_gib` is the wish, `observed_gib` what the store was last seen to have: 0 before the volume is made.
    """

    __tablename__ = "volume"
    __table_args__ = (
        CheckConstraint("size_gib > 0", name="size"),
        Index("ix_volume_project_id_created_at", "project_id", "created_at", "id"),
        Index("ix_volume_created_at", "created_at", "id"),
        Index("ix_volume_snapshot_id", "snapshot_id"),
        {"schema": SCHEMA},
    )

    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str | None]
    description: Mapped[str | None]
    size_gib: Mapped[int] = mapped_column(Integer)
    observed_gib: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    type_id: Mapped[str] = mapped_column(_ref("volume_type"), index=True)
    availability_zone: Mapped[str]
    bootable: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    meta: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    image_id: Mapped[str | None] = mapped_column(String(36))
    image_meta: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    snapshot_id: Mapped[str | None] = mapped_column(String(36))
    label: Mapped[str | None] = mapped_column(String(32))


class Snapshot(Identified, Desired, Base):
    """A snapshot of a volume at one moment."""

    __tablename__ = "snapshot"
    __table_args__ = (
        Index("ix_snapshot_project_id_created_at", "project_id", "created_at", "id"),
        Index("ix_snapshot_created_at", "created_at", "id"),
        {"schema": SCHEMA},
    )

    volume_id: Mapped[str] = mapped_column(_ref("volume"), index=True)
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str | None]
    description: Mapped[str | None]
    size_gib: Mapped[int] = mapped_column(Integer)
    meta: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    label: Mapped[str | None] = mapped_column(String(32))


class Attachment(Identified, Desired, Base):
    """A volume at a server: the one row that is the truth for both services. The server's host brings it about.

    Observed present when `observed_generation` is not 0; the row goes when the host has reported the disk gone.
    """

    __tablename__ = "attachment"
    __table_args__ = (UniqueConstraint("volume_id"), Index("ix_attachment_server_id", "server_id"), {"schema": SCHEMA})

    volume_id: Mapped[str] = mapped_column(_ref("volume"))
    server_id: Mapped[str] = mapped_column(String(36))
    device: Mapped[str]
    mountpoint: Mapped[str]
    delete_on_termination: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    attached_at: Mapped[datetime | None]
