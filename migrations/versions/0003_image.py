"""Images and the projects they are shared with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "image",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("updated_at", MOMENT),
        sa.Column("desired", sa.String(16), nullable=False, server_default="present"),
        sa.Column("generation", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("fault", JSONB()),
        sa.Column("name", sa.Text()),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("visibility", sa.String(16), nullable=False, server_default="shared"),
        sa.Column("container_format", sa.String(16)),
        sa.Column("disk_format", sa.String(16)),
        sa.Column("protected", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("min_disk", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("min_ram", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("properties", JSONB(), nullable=False, server_default="{}"),
        sa.Column("tags", JSONB(), nullable=False, server_default="[]"),
        sa.Column("data", sa.Text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("virtual_size", sa.BigInteger()),
        sa.Column("checksum", sa.String(32)),
        sa.Column("hash_value", sa.String(128)),
        sa.Column("upload", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("upload_until", MOMENT),
        sa.CheckConstraint("visibility IN ('public', 'private', 'shared', 'community')", name="ck_image_visibility"),
        schema="image",
    )
    op.create_index("ix_image_owner_created_at", "image", ["owner", "created_at", "id"], schema="image")
    op.create_index("ix_image_created_at", "image", ["created_at", "id"], schema="image")
    op.create_table(
        "member",
        sa.Column(
            "image_id",
            sa.String(36),
            sa.ForeignKey("image.image.id", ondelete="CASCADE", name="fk_member_image_id_image"),
            primary_key=True,
        ),
        sa.Column("member_id", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("updated_at", MOMENT),
        sa.CheckConstraint("status IN ('pending', 'accepted', 'rejected')", name="ck_member_status"),
        schema="image",
    )
    op.create_index("ix_member_member_id", "member", ["member_id"], schema="image")


def downgrade() -> None:
    op.drop_table("member", schema="image")
    op.drop_table("image", schema="image")
