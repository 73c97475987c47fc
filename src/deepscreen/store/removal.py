"""Takes away blobs that nothing refers to any more, and never any other.

A blob is needed by a screening (its original), by a computation (record, evidence and thumbnail stand in ``blob_uses``
before they are written), or by the audit log (time stamps). Whoever adds a reference and whoever removes a blob hold
``EVIDENCE_LOCK``: a blob cannot go between being found there and being referred to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, select

from deepscreen.errors import StoreError
from deepscreen.store import audit
from deepscreen.store.acts import BLOB_REMOVED, CHECKPOINT_TIMESTAMPED
from deepscreen.store.computations import EVIDENCE_LOCK, State
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_entries, blob_uses, computations, screenings

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3600.0  # the sweep leaves younger blobs alone: somebody may be about to refer to them
AT_ONCE = 50  # blobs that one transaction looks at, so that nobody waits long for the lock


def remove_unneeded(store: Store, candidates: Iterable[str], *, actor: str) -> set[str]:
    """Removes those of *candidates* that nothing needs; gives which. Each removal is an entry in the audit log.

    Raises StoreError where the store does not do it; the rest is left to a sweep then.
    """
    removed: set[str] = set()
    for some in _groups(sorted(set(candidates))):
        failure: StoreError | None = None
        with store.database.write() as connection:
            store.database.lock(connection, EVIDENCE_LOCK)
            for sha256 in sorted(set(some) - _needed(connection, some)):
                try:
                    store.blobs.remove(sha256)
                except StoreError as error:  # those that went before keep their entries
                    failure = error
                    break
                audit.append(store.database, connection, actor=actor, act=BLOB_REMOVED, subject=sha256)
                removed.add(sha256)
        if failure is not None:
            raise failure
    return removed


def remove_or_leave(store: Store, candidates: Iterable[str], *, actor: str) -> set[str]:
    """As ``remove_unneeded``; what the store does not remove now is left to a sweep."""
    try:
        return remove_unneeded(store, candidates, actor=actor)
    except StoreError as error:
        logger.warning("blobs that nothing needs could not be removed yet: %s", error)
        return set()


def unneeded(store: Store, *, grace_seconds: float = GRACE_SECONDS) -> Iterator[str]:
    """The blobs in the store that are older than *grace_seconds* and that nothing refers to at this moment."""
    for some in _groups(store.blobs.older_than(grace_seconds)):
        with store.database.read() as connection:
            needed = _needed(connection, some)
        yield from (sha256 for sha256 in some if sha256 not in needed)


def sweep(store: Store, *, grace_seconds: float = GRACE_SECONDS, actor: str = "service") -> int:
    """Removes all unneeded blobs, such as a crash between two steps leaves them; gives how many."""
    return len(remove_unneeded(store, unneeded(store, grace_seconds=grace_seconds), actor=actor))


def _needed(connection: Connection, sha256s: list[str]) -> set[str]:
    originals = select(screenings.c.media_sha256).where(
        screenings.c.media_sha256.in_(sha256s), screenings.c.deleted_at.is_(None)
    )
    being_read = select(computations.c.media_sha256).where(
        computations.c.media_sha256.in_(sha256s), computations.c.state == State.RUNNING.value
    )
    results = select(blob_uses.c.sha256).where(blob_uses.c.sha256.in_(sha256s))
    stamps = select(audit_entries.c.subject).where(
        audit_entries.c.subject.in_(sha256s), audit_entries.c.act == CHECKPOINT_TIMESTAMPED
    )
    return {
        sha256
        for query in (originals, being_read, results, stamps)
        for sha256 in connection.execute(query.distinct()).scalars()
    }


def _groups(sha256s: Iterable[str]) -> Iterator[list[str]]:
    left = iter(sha256s)
    while some := list(islice(left, AT_ONCE)):
        yield some
