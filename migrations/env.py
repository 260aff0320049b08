"""alembic asks here how to reach the database. The history says all; that the models agree with it is a test's business."""

from alembic import context
from sqlalchemy import create_engine

config = context.config
engine = create_engine(config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=None,
        include_schemas=True,
        version_table="alembic_version",
        version_table_schema="public",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
