"""Retention: what the laboratory keeps no longer than it may is deleted, with tombstone and certificate as ever.

A screening of an open case is never let go, however old it is: closing the case starts its time.
"""

from __future__ import annotations

from sqlalchemy import func, or_, select

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
        latest = database.now(connection) - retention_days * DAY_SECONDS
        since = func.coalesce(cases.c.closed_at, screenings.c.created_at)
        query = (
            select(screenings.c.id)
            .join(cases, screenings.c.case_id == cases.c.id, isouter=True)
            .where(screenings.c.deleted_at.is_(None), screenings.c.created_at < latest, since < latest)
            .where(or_(screenings.c.case_id.is_(None), cases.c.closed_at.is_not(None)))
            .order_by(screenings.c.created_at)
        )
        return list(connection.execute(query).scalars())


def clean(store: Store, asked: Screenings, *, retention_days: float | None) -> tuple[list[audit.Entry], int]:
    """Deletes what is expired, and removes blobs that nothing refers to.

    Gives the entries that certify the deletions, and how many blobs were swept up beside them. Raises StoreError.
    """
    certificates = []
    for screening_id in expired(store.database, retention_days) if retention_days is not None else []:
        try:
            entry, _ = asked.delete(screening_id, POLICY, reason=f"retention policy: {retention_days:g} days")
        except NotThere:  # somebody deleted it meanwhile
            continue
        certificates.append(entry)
    store.blobs.clear_unfinished()
    return certificates, sweep(store)
