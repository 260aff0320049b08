"""Tables of the image service (PostgreSQL schema `image`); only this service reads or writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, String, and_, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from common.db import Base, Desired, Identified, clock

SCHEMA = "image"
VISIBILITIES = ("public", "private", "shared", "community")
FORMATS = ("raw", "qcow2")


class Image(Identified, Desired, Base):
    """An image. It has data when `data` names the RBD image that holds it; its status is `image.service.status`.

    `observed_generation` follows `generation` when the raw form that a boot clones is there; raw data is that form itself.
    `upload` counts the uploads begun; the running one holds the image until `upload_until`, which it moves on while bytes arrive.
    """

    __tablename__ = "image"
    __table_args__ = (
        CheckConstraint("visibility IN ('public', 'private', 'shared', 'community')", name="visibility"),
        Index("ix_image_owner_created_at", "owner", "created_at", "id"),
        Index("ix_image_created_at", "created_at", "id"),
        {"schema": SCHEMA},
    )

    name: Mapped[str | None]
    owner: Mapped[str] = mapped_column(String(64))
    visibility: Mapped[str] = mapped_column(String(16), default="shared", server_default="shared")
    container_format: Mapped[str | None] = mapped_column(String(16))
    disk_format: Mapped[str | None] = mapped_column(String(16))
    protected: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    hidden: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    min_disk: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    min_ram: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    properties: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    tags: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default="[]")

    data: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None] = mapped_column(String(32))
    hash_value: Mapped[str | None] = mapped_column(String(128))
    upload: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    upload_until: Mapped[datetime | None] = mapped_column()
    # Whether an upload is running, as PostgreSQL's clock had it when the row was read.
    uploading: Mapped[bool] = column_property(and_(upload_until.is_not(None), upload_until > clock()))


class Member(Base):
    """A project with which a shared image is shared."""

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'accepted', 'rejected')", name="status"),
        Index("ix_member_member_id", "member_id"),
        {"schema": SCHEMA},
    )

    image_id: Mapped[str] = mapped_column(ForeignKey(f"{SCHEMA}.image.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), default="pending", server_default="pending")
    created_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    updated_at: Mapped[datetime | None]
