"""Tables of compute (PostgreSQL schema `compute`). Only this service writes them.

What a client or an operator wishes stands beside what a host's report last said; nothing shown as a status is stored (`compute.status`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Float, ForeignKey, Identity, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Base, Desired, Identified, new_uuid

SCHEMA = "compute"
NOW = text("common.now()")
NO = text("false")
YES = text("true")


def _ref(column: str, *, cascade: bool = True) -> ForeignKey:
    return ForeignKey(f"{SCHEMA}.{column}", ondelete="CASCADE" if cascade else None)


class Flavor(Base):
    """A size of servers. `id` is the API's flavor id, which the operator may choose. MiB, GiB."""

    __tablename__ = "flavor"
    __table_args__ = (UniqueConstraint("name"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(255))
    vcpus: Mapped[int] = mapped_column(Integer)
    ram_mib: Mapped[int] = mapped_column(Integer)
    disk_gib: Mapped[int] = mapped_column(Integer)
    ephemeral_gib: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    swap_mib: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    rxtx_factor: Mapped[float] = mapped_column(Float, default=1.0, server_default="1")
    is_public: Mapped[bool] = mapped_column(Boolean, default=True, server_default=YES)
    extra_specs: Mapped[dict[str, str]] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class FlavorAccess(Base):
    """A project that may use a flavor that is not public."""

    __tablename__ = "flavor_access"
    __table_args__ = (Index(None, "project_id"), {"schema": SCHEMA})

    flavor_id: Mapped[str] = mapped_column(String(255), _ref("flavor.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class Keypair(Base):
    """A public ssh key of a user. The private half of one that we made is shown once and kept nowhere."""

    __tablename__ = "keypair"
    __table_args__ = (UniqueConstraint("user_id", "name"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(8), default="ssh", server_default="ssh")
    public_key: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Host(Base):
    """A hypervisor. `public_key` (Ed25519, base64) is pinned by its first registration; `agent_epoch` counts its agent's lives.

    registered_seq: the stamp of the last registration; only one with a greater stamp counts.
    unknown: what its agent left alone because no row knows it, the first of `unknown_count`, a line each.
    vcpus, memory_mib, disk_gib and what follows are what its reports say; `address` is its own towards Ceph. `seen_at`: last pull or report.
    """

    __tablename__ = "host"
    __table_args__ = (UniqueConstraint("name"), Index(None, "availability_zone"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(255))
    chassis: Mapped[str] = mapped_column(String(255))
    public_key: Mapped[str | None]
    agent_epoch: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    registered_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    availability_zone: Mapped[str] = mapped_column(String(255))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=YES)
    disabled_reason: Mapped[str | None] = mapped_column(String(255))
    vcpus: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    memory_mib: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    disk_gib: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    hypervisor_type: Mapped[str] = mapped_column(String(32), default="QEMU", server_default="QEMU")
    hypervisor_version: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    hostname: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(String(64))
    cpu_info: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    unknown: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    unknown_count: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    applied_digest: Mapped[str | None] = mapped_column(String(64))
    seen_at: Mapped[datetime | None]
    registered_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Server(Identified, Desired, Base):
    """A server. `desired` is running, stopped or absent; the flavor's figures are kept as they were at its creation.

    prepared: a fact of the create flow: its disks are whole and its ports bound, the host may start it.
    observed_state, observed_reboots, reported_generation, pending_reason, launched_at: facts written by the host's reports alone.
    hidden: to be removed while its host does not answer; the API shows it no more.
    """

    __tablename__ = "server"
    __table_args__ = (
        CheckConstraint("desired IN ('running', 'stopped', 'absent')", name="desired"),
        Index(None, "project_id", "created_at"),
        Index(None, "created_at"),
        {"schema": SCHEMA},
    )

    name: Mapped[str] = mapped_column(String(255))
    hostname: Mapped[str] = mapped_column(String(255))
    project_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(String(64))
    desired: Mapped[str] = mapped_column(String(16), default="running", server_default="running")
    image_id: Mapped[str | None] = mapped_column(String(36))
    flavor: Mapped[dict[str, Any]] = mapped_column(JSONB)
    flavor_id: Mapped[str] = mapped_column(String(255))
    vcpus: Mapped[int] = mapped_column(Integer)
    memory_mib: Mapped[int] = mapped_column(Integer)
    disk_gib: Mapped[int] = mapped_column(Integer)
    root_gib: Mapped[int] = mapped_column(Integer)
    key_name: Mapped[str | None] = mapped_column(String(255))
    public_key: Mapped[str | None]
    user_data: Mapped[str | None]
    meta: Mapped[dict[str, str]] = mapped_column("metadata", default=dict, server_default="{}")
    access_ip_v4: Mapped[str | None] = mapped_column(String(64))
    access_ip_v6: Mapped[str | None] = mapped_column(String(64))
    disk_config: Mapped[str] = mapped_column(String(8), default="MANUAL", server_default="MANUAL")
    root_device: Mapped[str] = mapped_column(String(32), default="/dev/vda", server_default="/dev/vda")
    reservation_id: Mapped[str] = mapped_column(String(32))
    launch_index: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    availability_zone: Mapped[str | None] = mapped_column(String(255))
    forced_host: Mapped[str | None] = mapped_column(String(255))
    locked_by: Mapped[str | None] = mapped_column(String(8))
    reboots: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    reboot_type: Mapped[str] = mapped_column(String(4), default="SOFT", server_default="SOFT")
    prepared: Mapped[bool] = mapped_column(Boolean, default=False, server_default=NO)
    hidden: Mapped[bool] = mapped_column(Boolean, default=False, server_default=NO)
    observed_state: Mapped[str | None] = mapped_column(String(16))
    reported_generation: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    observed_reboots: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    pending_reason: Mapped[str | None]
    launched_at: Mapped[datetime | None]


class Allocation(Base):
    """The room that a server takes on a host, and that it is on that host. MiB, GiB."""

    __tablename__ = "allocation"
    __table_args__ = (Index(None, "host_id"), {"schema": SCHEMA})

    server_id: Mapped[str] = mapped_column(String(36), _ref("server.id", cascade=False), primary_key=True)
    host_id: Mapped[str] = mapped_column(String(36), _ref("host.id", cascade=False))
    vcpus: Mapped[int] = mapped_column(Integer)
    memory_mib: Mapped[int] = mapped_column(BigInteger)
    disk_gib: Mapped[int] = mapped_column(BigInteger)


class ServerDisk(Base):
    """Limits of one disk of a server: `limits` an operator's (NULL: the flavor's), `observed` as read back from QEMU. `disk_id`: root or an attachment's."""

    __tablename__ = "server_disk"
    __table_args__ = ({"schema": SCHEMA},)

    server_id: Mapped[str] = mapped_column(String(36), _ref("server.id"), primary_key=True)
    disk_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    limits: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    observed: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    device: Mapped[str | None] = mapped_column(String(32))


class Question(Base):
    """Something read-only that an API asks of a server's host; pull carries it, a report answers it, the API removes it."""

    __tablename__ = "question"
    __table_args__ = (Index(None, "host_id"), {"schema": SCHEMA})

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_uuid)
    host_id: Mapped[str] = mapped_column(String(36), _ref("host.id"))
    server_id: Mapped[str] = mapped_column(String(36), _ref("server.id"))
    kind: Mapped[str] = mapped_column(String(32))
    length: Mapped[int | None] = mapped_column(Integer)
    output: Mapped[str | None]
    error: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(server_default=NOW)
    answered_at: Mapped[datetime | None]


class ServerAction(Base):
    """What was asked of a server, by which request, and what came of it."""

    __tablename__ = "server_action"
    __table_args__ = (Index(None, "server_id", "id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    server_id: Mapped[str] = mapped_column(String(36))
    action: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(String(64))
    message: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]
