"""Retention: what the laboratory keeps no longer than it may is deleted, with tombstone and certificate as ever.

A screening of an open case is never let go, however old it is: closing the case starts its time.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select

from deepscreen.store import audit
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller, Role
from deepscreen.store.removal import sweep
from deepscreen.store.screenings import NotThere, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import cases, screenings

DAY_SECONDS = 86_400.0
POLICY = Caller("retention-policy", Role.ADMIN)


def expired(database: Database, retention_days: float) -> list[str]:
    """Ids of the screenings whose time is over, the oldest first."""
    with database.read() as connection:
        is_over = _is_over(database.now(connection) - retention_days * DAY_SECONDS)
        query = select(screenings.c.id).where(screenings.c.deleted_at.is_(None), is_over)
        return list(connection.execute(query.order_by(screenings.c.created_at)).scalars())


def _is_over(latest: float) -> ColumnElement[bool]:
    """Whether the time of a screening was over at *latest*; never in a case that is open."""
    is_closed = exists().where(cases.c.id == screenings.c.case_id, cases.c.closed_at < latest)
    return and_(screenings.c.created_at < latest, or_(screenings.c.case_id.is_(None), is_closed))


def clean(store: Store, asked: Screenings, *, retention_days: float | None) -> tuple[list[audit.Entry], int]:
    """Deletes what is expired, and removes blobs that nothing refers to.

    Gives the entries that certify the deletions, and how many blobs were swept up beside them. Raises StoreError.
    """
    certificates = []
    if retention_days is not None:
        with store.database.read() as connection:
            is_over = _is_over(store.database.now(connection) - retention_days * DAY_SECONDS)
        for screening_id in expired(store.database, retention_days):
            try:
                reason = f"retention policy: {retention_days:g} days"
                entry, _ = asked.delete(screening_id, POLICY, reason=reason, only=is_over)
            except NotThere:  # somebody deleted it meanwhile, or opened its case again
                continue
            certificates.append(entry)
    store.blobs.clear_unfinished()
    return certificates, sweep(store)
