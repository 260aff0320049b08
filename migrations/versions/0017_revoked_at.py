"""When a token was revoked: OS-REVOKE lists it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.Column("revoked_at", sa.DateTime(timezone=True), server_default=sa.text("common.now()"), nullable=False)
    op.add_column("revoked_token", moment, schema="identity")


def downgrade() -> None:
    op.drop_column("revoked_token", "revoked_at", schema="identity")
