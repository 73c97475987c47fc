"""What each method consisted of; candidates among workers; likelihood ratios beside verdicts, to compare methods by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_methods"
down_revision = "0005_fingerprints"


def upgrade() -> None:
    op.create_table(
        "methods",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("first_seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_methods")),
    )
    op.add_column("workers", sa.Column("is_candidate", sa.Boolean(), nullable=True))
    op.add_column("computations", sa.Column("log10_lrs", sa.JSON(), nullable=True))
