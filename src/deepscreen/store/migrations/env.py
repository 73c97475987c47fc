"""Runs the migrations on the connection that ``Database.migrate`` brings, inside its transaction."""

from __future__ import annotations

from alembic import context

from deepscreen.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
