"""alembic asks here how to reach the database; the models are every service's."""

from alembic import context
from sqlalchemy import create_engine

import common.models
from common.cmd import SERVICES, room
from common.db import Base

for service in SERVICES:
    room(service, "models")

config = context.config
engine = create_engine(config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        version_table="alembic_version",
        version_table_schema="public",
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
