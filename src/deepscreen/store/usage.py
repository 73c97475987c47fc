"""How much space the store takes, for admins: it is counted, so it is asked for seldom."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sqlalchemy import func, select, text

from deepscreen.store.database import Database
from deepscreen.store.retention import expired
from deepscreen.store.store import Store
from deepscreen.store.tables import computations, screenings

FRESH_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Space in bytes, as counted at a moment (seconds since 1970)."""

    originals: int
    original_bytes: int  # before sealing
    blobs: int  # originals, records, evidence pictures and thumbnails
    blob_bytes: int
    database_bytes: int
    free_bytes: int | None  # None: nobody can tell, as of an object store
    expired: int  # screenings that the next cleaning deletes
    counted_at: float


class UsageCounter:
    """Counts on request, and not again for ten minutes: of a hundred thousand blobs it takes a second or more."""

    def __init__(self, store: Store, *, retention_days: float | None) -> None:
        self._store, self._retention_days = store, retention_days
        self._lock = threading.Lock()
        self._last: Usage | None = None

    def usage(self) -> Usage:
        """The last count, or a new one; raises StoreError."""
        with self._lock:
            if self._last is None or time.time() - self._last.counted_at > FRESH_SECONDS:
                self._last = self._count()
            return self._last

    def _count(self) -> Usage:
        database = self._store.database
        blobs, blob_bytes = self._store.blobs.size()
        originals, original_bytes = _originals(database)
        days = self._retention_days
        return Usage(
            originals=originals,
            original_bytes=original_bytes,
            blobs=blobs,
            blob_bytes=blob_bytes,
            database_bytes=_database_bytes(database),
            free_bytes=self._store.blobs.free_bytes(),
            expired=0 if days is None else len(expired(database, days)),
            counted_at=time.time(),
        )


def _originals(database: Database) -> tuple[int, int]:
    kept = select(screenings.c.media_sha256).where(screenings.c.deleted_at.is_(None))
    sizes = (
        select(computations.c.media_sha256, func.max(computations.c.media_bytes).label("bytes"))
        .where(computations.c.media_sha256.in_(kept))
        .group_by(computations.c.media_sha256)
        .subquery()
    )
    with database.read() as connection:
        row = connection.execute(
            select(func.count(), func.coalesce(func.sum(sizes.c.bytes), 0)).select_from(sizes)
        ).one()
    return int(row[0]), int(row[1])


def _database_bytes(database: Database) -> int:
    of_sqlite = "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)"
    query = of_sqlite if database.is_sqlite else "SELECT pg_database_size(current_database())"
    with database.read() as connection:
        return int(connection.execute(text(query)).scalar_one())
