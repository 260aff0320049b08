"""Up and down the one history, and the grants that go with it; called by `wolke-manage db` and by the tests."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from common.grants import grant


def configuration(url: str) -> Config:
    """alembic's configuration for the database at `url`."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("version_path_separator", "os")
    made.attributes["url"] = url
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Bring tables, the epoch's row and grants to `revision`."""
    command.upgrade(configuration(url), revision)
    engine = create_engine(url)
    with engine.begin() as connection:
        grant(connection)
    engine.dispose()


def downgrade(url: str, revision: str) -> None:
    """Go back to `revision` (`base`: no tables)."""
    command.downgrade(configuration(url), revision)
