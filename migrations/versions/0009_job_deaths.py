"""Jobs: how often in a row a claim was never heard of again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("deaths", sa.Integer(), server_default="0", nullable=False), schema="common")


def downgrade() -> None:
    op.drop_column("job", "deaths", schema="common")
