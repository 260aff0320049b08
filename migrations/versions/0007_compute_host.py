"""Compute: the stamp of a host's last registration, and how many things its agent left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "compute"


def upgrade() -> None:
    op.add_column("host", sa.Column("registered_seq", sa.BigInteger(), server_default="0", nullable=False), schema=SCHEMA)
    op.add_column("host", sa.Column("unknown_count", sa.Integer(), server_default="0", nullable=False), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("host", "unknown_count", schema=SCHEMA)
    op.drop_column("host", "registered_seq", schema=SCHEMA)
