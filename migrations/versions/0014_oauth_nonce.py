"""Signed requests of OAuth 1.0a that were answered: none is answered twice."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oauth_nonce",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_nonce"),
        schema="identity",
    )
    op.create_index("ix_oauth_nonce_expires_at", "oauth_nonce", ["expires_at"], schema="identity")


def downgrade() -> None:
    op.drop_table("oauth_nonce", schema="identity")
