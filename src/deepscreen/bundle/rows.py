"""What the store holds of a case for whoever exports it, and the audit entry that an export leaves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from deepscreen.errors import ConfigError
from deepscreen.store import audit
from deepscreen.store.acts import CASE_EXPORTED
from deepscreen.store.store import Store
from deepscreen.store.tables import cases, computations, reviews, screenings


def log_export(store: Store, case_id: str, actor: str, *, what: str) -> None:
    """Puts the export into the audit log; raises ConfigError for a case that is not there."""
    with store.database.write() as connection:
        if connection.execute(select(cases.c.id).where(cases.c.id == case_id)).first() is None:
            raise ConfigError(f"no case {case_id!r} in this store")
        details = {"as": what}
        audit.append(store.database, connection, actor=actor, act=CASE_EXPORTED, subject=case_id, details=details)


def rows_of_case(connection: Connection, case_id: str) -> list[Row[Any]]:
    """The screenings of the case that were not deleted, the oldest first, with their results."""
    columns = (screenings.c.id, screenings.c.filename, screenings.c.media_sha256, screenings.c.created_by)
    results = (
        computations.c.state,
        computations.c.record_sha256,
        computations.c.started_at,
        computations.c.ended_at,
        computations.c.id.label("computation_id"),
    )
    query = (
        select(*columns, *results)
        .join(computations, computations.c.id == screenings.c.computation_id)
        .where(screenings.c.case_id == case_id, screenings.c.deleted_at.is_(None))
        .order_by(screenings.c.created_at, screenings.c.id)
    )
    return list(connection.execute(query))


def review_row(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    """The review of the present result of a screening."""
    is_meant = (reviews.c.screening_id == row.id) & (reviews.c.computation_id == row.computation_id)
    return connection.execute(select(reviews).where(is_meant)).first()
