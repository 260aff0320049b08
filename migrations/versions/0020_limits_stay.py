"""Identity: a registered limit outlives its service and its region, as in Keystone."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE, SCHEMA = "registered_limit", "identity"


def upgrade() -> None:
    for target in ("region", "service"):
        op.drop_constraint(f"fk_{TABLE}_{target}_id_{target}", TABLE, schema=SCHEMA)


def downgrade() -> None:
    for target in ("region", "service"):
        missing = f"NOT EXISTS (SELECT FROM {SCHEMA}.{target} t WHERE t.id = r.{target}_id)"
        gone = f"SELECT r.id FROM {SCHEMA}.{TABLE} r WHERE r.{target}_id IS NOT NULL AND {missing}"
        op.execute(f'DELETE FROM {SCHEMA}."limit" WHERE registered_limit_id IN ({gone})')
        op.execute(f"DELETE FROM {SCHEMA}.{TABLE} WHERE id IN ({gone})")
        op.create_foreign_key(
            f"fk_{TABLE}_{target}_id_{target}", TABLE, target, [f"{target}_id"], ["id"], source_schema=SCHEMA, referent_schema=SCHEMA
        )
