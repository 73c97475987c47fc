"""The misuse register."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_register"
down_revision = "0006_methods"


def upgrade() -> None:
    op.create_table(
        "misuse_entries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("revised_at", sa.Float(), nullable=False),
        sa.Column("revised_by", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("screening_id", sa.String(length=32), nullable=True),
        sa.Column("origin", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("media_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("campaign", sa.String(length=36), nullable=True),
        sa.Column("tool", sa.String(length=200), nullable=False),
        sa.Column("tool_kind", sa.String(length=32), nullable=False),
        sa.Column("misuse", sa.String(length=32), nullable=False),
        sa.Column("modus_operandi", sa.Text(), nullable=False),
        sa.Column("case_reference", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("tlp", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", "revision", name=op.f("pk_misuse_entries")),
    )
    op.create_index("ix_misuse_entries_created_at", "misuse_entries", ["is_current", "created_at", "id"], unique=False)
    op.create_index("ix_misuse_entries_media_sha256", "misuse_entries", ["media_sha256"], unique=False)
