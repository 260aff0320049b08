"""Volume types with their default, volumes, snapshots and attachments."""

import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def identified() -> list[sa.Column]:
    return [
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("updated_at", MOMENT),
    ]


def desired() -> list[sa.Column]:
    return [
        sa.Column("desired", sa.String(16), nullable=False, server_default="present"),
        sa.Column("generation", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("fault", JSONB()),
    ]


def described() -> list[sa.Column]:
    return [
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        sa.Column("meta", JSONB(), nullable=False, server_default="{}"),
        sa.Column("label", sa.String(32)),
    ]


def upgrade() -> None:
    types = op.create_table(
        "volume_type",
        *identified(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("is_public", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("is_default", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("extra_specs", JSONB(), nullable=False, server_default="{}"),
        sa.UniqueConstraint("name", name="uq_volume_type_name"),
        schema="volume",
    )
    op.create_index(
        "uq_volume_type_default", "volume_type", ["is_default"], unique=True, schema="volume", postgresql_where=sa.text("is_default")
    )
    op.bulk_insert(
        types,
        [{"id": str(uuid.uuid4()), "name": "__DEFAULT__", "description": "Default volume type", "is_public": True, "is_default": True}],
    )
    op.create_table(
        "volume",
        *identified(),
        *desired(),
        *described(),
        sa.Column("type_id", sa.String(36), sa.ForeignKey("volume.volume_type.id", name="fk_volume_type_id_volume_type"), nullable=False),
        sa.Column("availability_zone", sa.Text(), nullable=False),
        sa.Column("bootable", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("image_id", sa.String(36)),
        sa.Column("image_meta", JSONB()),
        sa.Column("snapshot_id", sa.String(36)),
        sa.CheckConstraint("size_gib > 0", name="ck_volume_size"),
        schema="volume",
    )
    op.create_index("ix_volume_type_id", "volume", ["type_id"], schema="volume")
    op.create_table(
        "snapshot",
        *identified(),
        *desired(),
        *described(),
        sa.Column("volume_id", sa.String(36), sa.ForeignKey("volume.volume.id", name="fk_snapshot_volume_id_volume"), nullable=False),
        schema="volume",
    )
    op.create_index("ix_snapshot_volume_id", "snapshot", ["volume_id"], schema="volume")
    for table in ("volume", "snapshot"):
        op.create_index(f"ix_{table}_project_id_created_at", table, ["project_id", "created_at", "id"], schema="volume")
        op.create_index(f"ix_{table}_created_at", table, ["created_at", "id"], schema="volume")
    op.create_table(
        "attachment",
        *identified(),
        *desired(),
        sa.Column("volume_id", sa.String(36), sa.ForeignKey("volume.volume.id", name="fk_attachment_volume_id_volume"), nullable=False),
        sa.Column("server_id", sa.String(36), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("mountpoint", sa.Text(), nullable=False),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("attached_at", MOMENT),
        sa.UniqueConstraint("volume_id", name="uq_attachment_volume_id"),
        schema="volume",
    )
    op.create_index("ix_attachment_server_id", "attachment", ["server_id"], schema="volume")


def downgrade() -> None:
    for table in ("attachment", "snapshot", "volume", "volume_type"):
        op.drop_table(table, schema="volume")
