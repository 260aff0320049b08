"""Compute: flavors, keypairs, hosts, servers, allocations, limits of disks, questions to hosts, the action log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "compute"
TABLES = ("flavor", "host", "keypair", "server", "server_action", "allocation", "flavor_access", "question", "server_disk")


def upgrade() -> None:
    op.create_table(
        "flavor",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("ram_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("ephemeral_gib", sa.Integer(), server_default="0", nullable=False),
        sa.Column("swap_mib", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rxtx_factor", sa.Float(), server_default="1", nullable=False),
        sa.Column("is_public", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("extra_specs", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor")),
        sa.UniqueConstraint("name", name=op.f("uq_flavor_name")),
        schema="compute",
    )
    op.create_table(
        "host",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("chassis", sa.String(length=255), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("agent_epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255), nullable=True),
        sa.Column("vcpus", sa.Integer(), server_default="0", nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hypervisor_type", sa.String(length=32), server_default="QEMU", nullable=False),
        sa.Column("hypervisor_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("cpu_info", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("unknown", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("applied_digest", sa.String(length=64), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("name", name=op.f("uq_host_name")),
        schema="compute",
    )
    op.create_index(op.f("ix_host_availability_zone"), "host", ["availability_zone"], unique=False, schema="compute")
    op.create_table(
        "keypair",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=8), server_default="ssh", nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keypair")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_keypair_user_id_name")),
        schema="compute",
    )
    op.create_table(
        "server",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("desired", sa.String(length=16), server_default="running", nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=True),
        sa.Column("flavor", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("disk_gib", sa.Integer(), nullable=False),
        sa.Column("root_gib", sa.Integer(), nullable=False),
        sa.Column("key_name", sa.String(length=255), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("user_data", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("access_ip_v4", sa.String(length=64), nullable=True),
        sa.Column("access_ip_v6", sa.String(length=64), nullable=True),
        sa.Column("disk_config", sa.String(length=8), server_default="MANUAL", nullable=False),
        sa.Column("root_device", sa.String(length=32), server_default="/dev/vda", nullable=False),
        sa.Column("reservation_id", sa.String(length=32), nullable=False),
        sa.Column("launch_index", sa.Integer(), server_default="0", nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("forced_host", sa.String(length=255), nullable=True),
        sa.Column("locked_by", sa.String(length=8), nullable=True),
        sa.Column("reboots", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reboot_type", sa.String(length=4), server_default="SOFT", nullable=False),
        sa.Column("prepared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("observed_state", sa.String(length=16), nullable=True),
        sa.Column("reported_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("observed_reboots", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pending_reason", sa.Text(), nullable=True),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("observed_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fault", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("desired IN ('running', 'stopped', 'absent')", name=op.f("ck_server_desired")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        schema="compute",
    )
    op.create_index(op.f("ix_server_created_at"), "server", ["created_at"], unique=False, schema="compute")
    op.create_index(op.f("ix_server_project_id_created_at"), "server", ["project_id", "created_at"], unique=False, schema="compute")
    op.create_table(
        "server_action",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_action")),
        schema="compute",
    )
    op.create_index(op.f("ix_server_action_server_id_id"), "server_action", ["server_id", "id"], unique=False, schema="compute")
    op.create_table(
        "allocation",
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["compute.host.id"], name=op.f("fk_allocation_host_id_host")),
        sa.ForeignKeyConstraint(["server_id"], ["compute.server.id"], name=op.f("fk_allocation_server_id_server")),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_allocation")),
        schema="compute",
    )
    op.create_index(op.f("ix_allocation_host_id"), "allocation", ["host_id"], unique=False, schema="compute")
    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["flavor_id"], ["compute.flavor.id"], name=op.f("fk_flavor_access_flavor_id_flavor"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name=op.f("pk_flavor_access")),
        schema="compute",
    )
    op.create_index(op.f("ix_flavor_access_project_id"), "flavor_access", ["project_id"], unique=False, schema="compute")
    op.create_table(
        "question",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=36), nullable=False),
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("length", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["host_id"], ["compute.host.id"], name=op.f("fk_question_host_id_host"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["server_id"], ["compute.server.id"], name=op.f("fk_question_server_id_server"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
        schema="compute",
    )
    op.create_index(op.f("ix_question_host_id"), "question", ["host_id"], unique=False, schema="compute")
    op.create_table(
        "server_disk",
        sa.Column("server_id", sa.String(length=36), nullable=False),
        sa.Column("disk_id", sa.String(length=36), nullable=False),
        sa.Column("limits", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("observed", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("device", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["server_id"], ["compute.server.id"], name=op.f("fk_server_disk_server_id_server"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("server_id", "disk_id", name=op.f("pk_server_disk")),
        schema="compute",
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
