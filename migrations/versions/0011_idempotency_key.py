"""Idempotency keys: what was answered under each."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("common.now()")),
        schema="common",
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"], schema="common")


def downgrade() -> None:
    op.drop_table("idempotency_key", schema="common")
