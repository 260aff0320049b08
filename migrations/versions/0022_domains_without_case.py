"""Identity: a log-in finds a domain by its name in other letters."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NAME, SCHEMA = "ix_project_domain_in_small_letters", "identity"


def upgrade() -> None:
    op.create_index(NAME, "project", [sa.text("lower(name)")], schema=SCHEMA, postgresql_where=sa.text("is_domain"))


def downgrade() -> None:
    op.drop_index(NAME, "project", schema=SCHEMA)
