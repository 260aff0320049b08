"""Identity: the access rules of an application credential have the order that they were given in."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLE, SCHEMA = "application_credential_access_rule", "identity"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("position", sa.SmallInteger, nullable=False, server_default="0"), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column(TABLE, "position", schema=SCHEMA)
