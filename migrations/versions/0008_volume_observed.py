"""Volume: the size that the store was last seen to have, to go back to when growing fails; who was made from a snapshot."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "volume"


def upgrade() -> None:
    op.add_column("volume", sa.Column("observed_gib", sa.Integer(), server_default="0", nullable=False), schema=SCHEMA)
    op.execute("UPDATE volume.volume SET observed_gib = size_gib WHERE observed_generation = generation AND fault IS NULL")
    op.create_index("ix_volume_snapshot_id", "volume", ["snapshot_id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("ix_volume_snapshot_id", "volume", schema=SCHEMA)
    op.drop_column("volume", "observed_gib", schema=SCHEMA)
