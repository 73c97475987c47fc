"""Figures of workers; sealed secrets of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_figures"
down_revision = "0003_webhooks"


def upgrade() -> None:
    op.add_column("workers", sa.Column("figures", sa.Text(), nullable=True))
    op.add_column("webhooks", sa.Column("sealed_secret", sa.Text(), nullable=True))
