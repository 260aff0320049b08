"""Network: networks, subnets, ports, routers, floating IPs, security groups."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "network"
TABLES = (
    "network", "subnet", "port", "fixed_ip", "security_group", "port_security_group", "router", "floating_ip", "security_group_rule",
)  # fmt: skip
OWNED = ("network", "subnet", "port", "security_group", "router", "floating_ip", "security_group_rule")


def _ref(name: str, table: str, *, null: bool = False, primary: bool = False, cascade: bool = False) -> sa.Column:
    target = sa.ForeignKey(f"{SCHEMA}.{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(name, sa.String(36), target, nullable=null, primary_key=primary)


def _text(name: str, length: int, *, null: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.String(length), nullable=null, server_default=default)


def _number(name: str, *, null: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=null, server_default=default)


def _flag(name: str, *, default: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default))


def _json(name: str, default: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), nullable=False, server_default=default)


def _owned(name: str, *parts: sa.schema.SchemaItem) -> None:
    """A resource of the API: `Owned` in network.models."""
    op.create_table(
        name,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        _text("desired", 16, default="present"),
        sa.Column("generation", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("fault", postgresql.JSONB()),
        _text("project_id", 64, default=""),
        _text("name", 255, default=""),
        sa.Column("description", sa.Text(), nullable=False, server_default=""),
        *parts,
        schema=SCHEMA,
    )
    op.create_index(f"ix_{name}_project_id", name, ["project_id"], schema=SCHEMA)
    dirty = sa.text("generation <> observed_generation")
    op.create_index(f"ix_{name}_dirty", name, ["id"], schema=SCHEMA, postgresql_where=dirty)


def _index(table: str, *columns: str, name: str | None = None, unique_where: str | None = None) -> None:
    where = sa.text(unique_where) if unique_where else None
    op.create_index(
        name or f"ix_{table}_{columns[0]}", table, list(columns), schema=SCHEMA, unique=where is not None, postgresql_where=where
    )


def _networks() -> None:
    _owned(
        "network", _flag("admin_state_up", default="true"), _flag("shared", default="false"), _flag("external", default="false"),
        _flag("is_default", default="false"), _number("mtu"), _flag("port_security_enabled", default="true"),
        _text("network_type", 16, default="geneve"), _text("physical_network", 64, null=True),
    )  # fmt: skip
    _index("network", "physical_network", name="uq_network_flat", unique_where="network_type = 'flat' AND desired = 'present'")
    _owned(
        "subnet", _ref("network_id", "network"), _number("ip_version", default="4"), _text("cidr", 64),
        _text("gateway_ip", 64, null=True), _flag("enable_dhcp", default="true"), _json("dns_nameservers", "[]"),
        _json("host_routes", "[]"), _json("allocation_pools", "[]"),
    )  # fmt: skip
    _index("subnet", "network_id")


def _ports() -> None:
    _owned(
        "port", _ref("network_id", "network"), _text("mac_address", 17), _flag("admin_state_up", default="true"),
        _text("device_id", 255, default=""), _text("device_owner", 255, default=""), _flag("port_security_enabled", default="true"),
        _json("allowed_address_pairs", "[]"), _text("host_id", 255, default=""), _text("chassis", 255, null=True),
        _text("vnic_type", 32, default="normal"), _json("profile", "{}"), _flag("wired", default="false"),
        _flag("created_by_compute", default="false"),
    )  # fmt: skip
    _index("port", "network_id", "mac_address", name="uq_port_mac", unique_where="desired = 'present'")
    _index("port", "device_id")
    op.create_table(
        "fixed_ip", _ref("subnet_id", "subnet", primary=True, cascade=True), sa.Column("ip", sa.String(64), primary_key=True),
        _ref("port_id", "port", cascade=True), _number("position", default="0"), schema=SCHEMA,
    )  # fmt: skip
    _index("fixed_ip", "port_id")


def _groups() -> None:
    _owned("security_group", _flag("is_default", default="false"))
    _index("security_group", "project_id", name="uq_security_group_default", unique_where="is_default AND desired = 'present'")
    op.create_table(
        "port_security_group", _ref("port_id", "port", primary=True, cascade=True),
        _ref("security_group_id", "security_group", primary=True, cascade=True), schema=SCHEMA,
    )  # fmt: skip
    _index("port_security_group", "security_group_id")
    _owned(
        "security_group_rule", _ref("security_group_id", "security_group"), _text("direction", 8), _text("ethertype", 8),
        _text("protocol", 40, null=True), _number("port_range_min", null=True), _number("port_range_max", null=True),
        _text("remote_ip_prefix", 64, null=True), _ref("remote_group_id", "security_group", null=True),
    )  # fmt: skip
    _index("security_group_rule", "security_group_id")
    _index("security_group_rule", "remote_group_id")


def _routers() -> None:
    _owned(
        "router", _flag("admin_state_up", default="true"), _ref("gateway_port_id", "port", null=True), _flag("enable_snat", default="true")
    )
    _owned(
        "floating_ip", _ref("floating_network_id", "network"), _text("floating_ip_address", 64), _ref("floating_port_id", "port"),
        _ref("port_id", "port", null=True), _text("fixed_ip_address", 64, null=True), _ref("router_id", "router", null=True),
    )  # fmt: skip
    _index("floating_ip", "port_id")
    _index("floating_ip", "router_id")


def upgrade() -> None:
    _networks()
    _ports()
    _groups()
    _routers()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
