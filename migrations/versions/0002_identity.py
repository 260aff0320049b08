"""Identity: domains, projects, users, roles and what is given on them, the catalogue, and the keys that sign tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "identity"
TABLES = (
    "project", "user", "password", "group", "group_member", "role", "implied_role", "assignment", "region", "service", "endpoint",
    "signing_key", "private_key", "revoked_token",
)  # fmt: skip
NOW = sa.text("common.now()")


def _key(length: int = 64) -> sa.Column:
    return sa.Column("id", sa.String(length), primary_key=True)


def _serial() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True)


def _ref(name: str, table: str, *, length: int = 64, null: bool = False, primary: bool = False, cascade: bool = True) -> sa.Column:
    target = sa.ForeignKey(f"{SCHEMA}.{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(name, sa.String(length), target, nullable=null, primary_key=primary)


def _name(*, null: bool = False) -> sa.Column:
    return sa.Column("name", sa.String(255), nullable=null)


def _description(*, null: bool = False) -> sa.Column:
    return sa.Column("description", sa.Text(), nullable=null, server_default=None if null else "")


def _flag(name: str, default: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default))


def _json(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), nullable=False, server_default="{}")


def _moment(name: str, *, now: bool = False, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null, server_default=NOW if now else None)


def _guarded() -> tuple[sa.Column, ...]:
    return (
        _flag("enabled", "true"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default="1"),
        _json("options"),
        _json("extra"),
    )


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, schema=SCHEMA)


def _index(table: str, *columns: str, where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), schema=SCHEMA, postgresql_where=condition)


def _owners() -> None:
    _create(
        "project", _key(), _name(), _description(), _flag("is_domain", "false"),
        _ref("domain_id", "project", null=True, cascade=False), _ref("parent_id", "project", null=True, cascade=False), *_guarded(),
        sa.UniqueConstraint("domain_id", "name", name="uq_project_domain_id_name", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("is_domain = (domain_id IS NULL)", name="ck_project_domain_has_none"),
        sa.CheckConstraint("is_domain = (parent_id IS NULL)", name="ck_project_project_has_parent"),
    )  # fmt: skip
    _index("project", "parent_id")
    _create(
        "user", _key(), _name(), _ref("domain_id", "project", cascade=False), sa.Column("default_project_id", sa.String(64)),
        _moment("password_expires_at", null=True), _moment("created_at", now=True), *_guarded(),
        sa.UniqueConstraint("domain_id", "name", name="uq_user_domain_id_name"),
    )  # fmt: skip
    _create(
        "password", _serial(), _ref("user_id", "user"), sa.Column("hash", sa.Text(), nullable=False), _flag("self_service", "false"),
        _moment("created_at", now=True),
    )  # fmt: skip
    _index("password", "user_id", "id")
    _create(
        "group", _key(), _name(), _description(), _ref("domain_id", "project", cascade=False), _json("extra"),
        sa.UniqueConstraint("domain_id", "name", name="uq_group_domain_id_name"),
    )  # fmt: skip
    _create("group_member", _ref("user_id", "user", primary=True), _ref("group_id", "group", primary=True))
    _index("group_member", "group_id")


def _roles() -> None:
    _create(
        "role", _key(), _name(), _description(null=True), _ref("domain_id", "project", null=True), _json("options"), _json("extra"),
        sa.UniqueConstraint("domain_id", "name", name="uq_role_domain_id_name", postgresql_nulls_not_distinct=True),
    )  # fmt: skip
    _create("implied_role", _ref("prior_role_id", "role", primary=True), _ref("implied_role_id", "role", primary=True))
    _index("implied_role", "implied_role_id")
    grant = ("user_id", "group_id", "target", "target_id", "role_id", "inherited")
    _create(
        "assignment", _serial(), _ref("user_id", "user", null=True), _ref("group_id", "group", null=True),
        sa.Column("target", sa.String(16), nullable=False), _ref("target_id", "project", null=True), _ref("role_id", "role"),
        _flag("inherited", "false"),
        sa.UniqueConstraint(*grant, name="uq_assignment_grant", postgresql_nulls_not_distinct=True),
        sa.CheckConstraint("num_nonnulls(user_id, group_id) = 1", name="ck_assignment_one_bearer"),
        sa.CheckConstraint("target IN ('project', 'domain', 'system')", name="ck_assignment_target"),
        sa.CheckConstraint("(target = 'system') = (target_id IS NULL)", name="ck_assignment_target_id"),
    )  # fmt: skip
    _index("assignment", "user_id", "target_id", where="user_id IS NOT NULL")
    _index("assignment", "group_id", "target_id", where="group_id IS NOT NULL")
    _index("assignment", "target_id")
    _index("assignment", "role_id")


def _catalogue() -> None:
    parent = _ref("parent_region_id", "region", length=255, null=True, cascade=False)
    _create("region", _key(255), _description(), parent, _json("extra"))
    kind = sa.Column("type", sa.String(255), nullable=False)
    _create("service", _key(), kind, _name(null=True), _description(null=True), _flag("enabled", "true"), _json("extra"))
    _create(
        "endpoint", _key(), _ref("service_id", "service"), _ref("region_id", "region", length=255, null=True, cascade=False),
        sa.Column("interface", sa.String(8), nullable=False), sa.Column("url", sa.Text(), nullable=False), _flag("enabled", "true"),
        _json("extra"), sa.CheckConstraint("interface IN ('public', 'internal', 'admin')", name="ck_endpoint_interface"),
    )  # fmt: skip
    _index("endpoint", "service_id")


def _keys() -> None:
    _create(
        "signing_key", sa.Column("kid", sa.String(32), primary_key=True), sa.Column("public_pem", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False), _moment("created_at", now=True), _moment("retired_at", null=True),
        sa.CheckConstraint("state IN ('staged', 'primary', 'secondary')", name="ck_signing_key_state"),
    )  # fmt: skip
    one_each = sa.text("state <> 'secondary'")
    op.create_index("uq_signing_key_state", "signing_key", ["state"], unique=True, schema=SCHEMA, postgresql_where=one_each)
    half = sa.ForeignKey(f"{SCHEMA}.signing_key.kid", ondelete="CASCADE")
    _create("private_key", sa.Column("kid", sa.String(32), half, primary_key=True), sa.Column("private_pem", sa.Text(), nullable=False))
    _create("revoked_token", sa.Column("audit_id", sa.String(32), primary_key=True), _moment("expires_at"))
    _index("revoked_token", "expires_at")


def upgrade() -> None:
    _owners()
    _roles()
    _catalogue()
    _keys()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
