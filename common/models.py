"""The tables of `common`: jobs, audit, idempotency keys, leases, quotas, the epoch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base, new_uuid

NOW = text("common.now()")


class Job(Base):
    """Work that is due: at most one row per subject; done is gone; `due_at` NULL is parked; `deaths` counts claims in a row whose
    lease ran out, as when a step ends its worker. ARCHITECTURE §4 gives the rules.
    """

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("subject_id", name="uq_job_subject_id"), Index("ix_job_due_at", "due_at"), {"schema": "common"},
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    kind: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    subject_id: Mapped[str] = mapped_column(String(64))
    step: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    fence: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    lease_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None] = mapped_column(server_default=NOW)
    tries: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    deaths: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    deadline_at: Mapped[datetime | None]
    error: Mapped[str | None]
    actor: Mapped[str | None] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Audit(Base):
    """Who changed what; written in the change's own transaction, found again by the request's id."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_at", "at"), {"schema": "common"})

    request_id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    action: Mapped[str]
    user_id: Mapped[str | None] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(String(64))
    path: Mapped[str]


class IdempotencyKey(Base):
    """A POST that was answered under a key of its client's: the answer, written in the change's own transaction. common/api/idempotency.py
    gives the rules.

    `id` is the hash of user, scope, route and key; `answer` is readable only with the key, which is not kept.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"), {"schema": "common"})

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str]
    answer: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Lease(Base):
    """A role that one process has at a time (the OVN writer). Each claim raises `fence`."""

    __tablename__ = "lease"
    __table_args__ = ({"schema": "common"},)

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    lease_until: Mapped[datetime | None]


class Epoch(Base):
    """The one row that tells this database's history from another's; while `sweeping` is false, sweeps only report."""

    __tablename__ = "epoch"
    __table_args__ = (CheckConstraint('"only"', name="only"), {"schema": "common"})

    only: Mapped[bool] = mapped_column(Boolean, primary_key=True, default=True, server_default=text("true"))
    epoch: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    system_identifier: Mapped[str]
    timeline: Mapped[int] = mapped_column(Integer)
    sweeping: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))


class Quota(Base):
    """A project's limit that differs from the default; -1 is none. What is used is a SUM, never stored."""

    __tablename__ = "quota"
    __table_args__ = ({"schema": "common"},)

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    hard_limit: Mapped[int] = mapped_column(BigInteger)
