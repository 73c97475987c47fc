"""Fingerprints of contents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_fingerprints"
down_revision = "0004_figures"


def upgrade() -> None:
    op.create_table(
        "fingerprints",
        sa.Column("media_sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("media_sha256", "kind", name=op.f("pk_fingerprints")),
    )
