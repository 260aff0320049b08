"""Which passcode of a device was the last that let in: none lets in twice."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credential", sa.Column("used_step", sa.BigInteger(), nullable=True), schema="identity")


def downgrade() -> None:
    op.drop_column("credential", "used_step", schema="identity")
