"""Schemas, the clock, jobs, the audit log and leases."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = ("common", "identity", "image", "volume", "network", "compute")

NOW = """
CREATE FUNCTION common.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT clock_timestamp() + coalesce(nullif(current_setting('wolke.clock_offset', true), ''), '0')::interval $$
"""


def upgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    op.execute(NOW)
    op.create_table(
        "job",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("subject_id", sa.String(64), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("fence", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()")),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("deadline_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text()),
        sa.Column("actor", sa.String(64)),
        sa.Column("project_id", sa.String(64)),
        sa.Column("request_id", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("common.now()")),
        sa.UniqueConstraint("subject_id", name="uq_job_subject_id"),
        schema="common",
    )
    op.create_index("ix_job_due_at", "job", ["due_at"], schema="common")
    op.create_table(
        "audit",
        sa.Column("request_id", sa.Text(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(64)),
        sa.Column("project_id", sa.String(64)),
        sa.Column("path", sa.Text(), nullable=False),
        schema="common",
    )
    op.create_index("ix_audit_at", "audit", ["at"], schema="common")
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("holder", sa.Text()),
        sa.Column("fence", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        schema="common",
    )
    op.create_table(
        "epoch",
        sa.Column("only", sa.Boolean(), primary_key=True, server_default=sa.true()),
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("system_identifier", sa.Text(), nullable=False),
        sa.Column("timeline", sa.Integer(), nullable=False),
        sa.Column("sweeping", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.CheckConstraint('"only"', name="ck_epoch_only"),
        schema="common",
    )
    op.create_table(
        "quota",
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("service", sa.Text(), primary_key=True),
        sa.Column("resource", sa.Text(), primary_key=True),
        sa.Column("hard_limit", sa.BigInteger(), nullable=False),
        schema="common",
    )


def downgrade() -> None:
    for table in ("quota", "epoch", "lease", "audit", "job"):
        op.drop_table(table, schema="common")
    op.execute("DROP FUNCTION common.now()")
    for schema in reversed(SCHEMAS):
        op.execute(f"DROP SCHEMA {schema}")
