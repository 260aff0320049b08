"""Identity: an index behind each reference, so that to delete a project or a consumer reads no whole table."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SCHEMA = "identity"
INDEXES = (
    ("access_token", "consumer_id"), ("access_token", "project_id"), ("credential", "project_id"), ("endpoint", "region_id"),
    ("federation_protocol", "mapping_id"), ("identity_provider", "domain_id"), ("policy_association", "region_id"),
    ("policy_association", "service_id"), ("region", "parent_region_id"),
    ("request_token", "authorizing_user_id"), ("request_token", "consumer_id"), ("request_token", "project_id"), ("trust", "project_id"),
    ("vouched_member", "identity_provider_id"),
)  # fmt: skip


def upgrade() -> None:
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column], schema=SCHEMA)
    given = sa.text("default_project_id IS NOT NULL")
    op.create_index("ix_user_default_project_id", "user", ["default_project_id"], schema=SCHEMA, postgresql_where=given)


def downgrade() -> None:
    op.drop_index("ix_user_default_project_id", "user", schema=SCHEMA)
    for table, column in reversed(INDEXES):
        op.drop_index(f"ix_{table}_{column}", table, schema=SCHEMA)
