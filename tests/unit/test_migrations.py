"""The one history of the tables: up, down, up again, and nothing that the models say differently."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from common.cmd import SERVICES, room
from common.db import Base
from common.grants import IDENTITY_SECRETS
from migrations import command

SCHEMAS = ("common", *SERVICES)


@pytest.fixture
def empty(postgres):
    postgres.execute("CREATE DATABASE empty OWNER wolke_owner")
    yield postgres.url("empty")
    postgres.drop("empty")


def tables(url):
    engine = create_engine(url)
    found = {f"{schema}.{name}" for schema in SCHEMAS for name in inspect(engine).get_table_names(schema=schema)}
    engine.dispose()
    return found


def test_there_is_one_head():
    assert len(ScriptDirectory.from_config(command.configuration("")).get_heads()) == 1


def test_up_down_up(empty):
    command.upgrade(empty)
    first = tables(empty)
    assert "common.job" in first
    command.downgrade(empty, "base")
    assert tables(empty) == set()
    command.upgrade(empty)
    assert tables(empty) == first


def test_each_step_down_and_up_again(empty):
    revisions = [script.revision for script in ScriptDirectory.from_config(command.configuration("")).walk_revisions()]
    command.upgrade(empty)
    for revision in revisions:
        script = ScriptDirectory.from_config(command.configuration("")).get_revision(revision)
        below = script.down_revision or "base"
        command.downgrade(empty, below)
        command.upgrade(empty, revision)
        command.downgrade(empty, below)


def test_models_and_history_agree(db):
    for service in ("common", *SERVICES):
        room(service, "models")
    mine = [table for table in Base.metadata.sorted_tables if table.schema in SCHEMAS and table.name not in ("toy", "thing")]
    assert len(mine) > 5

    def ours(obj, name, kind, reflected, compare_to):
        if kind == "table":
            return obj.schema in SCHEMAS and name not in ("toy", "thing")
        return True

    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_schemas": True, "include_object": ours, "compare_type": True, "compare_server_default": False}
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("role", ["wolke_api", "wolke_worker", "wolke_ovn"])
def test_identity_secrets_are_identitys(db, role):
    with db.engine.connect() as connection:
        for name in IDENTITY_SECRETS:
            if connection.execute(text("SELECT to_regclass(:n)"), {"n": f"identity.{name}"}).scalar():
                for verb in ("SELECT", "UPDATE", "INSERT", "DELETE"):
                    allowed = connection.execute(
                        text("SELECT has_table_privilege(:r, :t, :v)"), {"r": role, "t": f"identity.{name}", "v": verb}
                    )
                    assert not allowed.scalar(), f"{role} may {verb} identity.{name}"


@pytest.mark.parametrize(
    ("role", "table", "verb", "allowed"),
    [
        ("wolke_api", "common.job", "INSERT", True),
        ("wolke_worker", "common.job", "DELETE", True),
        ("wolke_ovn", "common.lease", "UPDATE", True),
        ("wolke_identity", "common.audit", "INSERT", True),
        ("wolke_ovn", "common.job", "SELECT", True),
    ],
)
def test_grants_are_as_written(db, role, table, verb, allowed):
    with db.engine.connect() as connection:
        found = connection.execute(text("SELECT has_table_privilege(:r, :t, :v)"), {"r": role, "t": table, "v": verb}).scalar()
    assert found is allowed


def test_behind_each_reference_within_identity_is_an_index(db):
    """To delete what is referred to looks for the rows that refer to it."""
    missing = """
        SELECT c.conrelid::regclass || ' ' || a.attname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.connamespace = 'identity'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])"""
    with db.transaction() as tx:
        assert tx.scalars(text(missing)).all() == []
