"""Two methods side by side: how results of the same contents moved, and trials, which make more of them comparable.

A trial has contents that one method screened computed by another, before that is put to work. It makes no screening:
nobody's list shows it, and whoever screens such a file by that method later finds it done. What it left goes with the
last screening of the content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, exists, func, select

from deepscreen.store import audit
from deepscreen.store.acts import TRIAL_QUEUED
from deepscreen.store.computations import EVIDENCE_LOCK, Queue, State
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller
from deepscreen.store.tables import computations, methods, screenings, workers

MOST_PAIRS = 1000  # the newest, one by one; all are counted


@dataclass(frozen=True, slots=True)
class KnownMethod:
    """A method that has screened, or has workers. ``about``: what it consisted of, where that was kept."""

    digest: str
    about: Mapping[str, Any] | None
    first_seen_at: float | None
    screened: int  # contents that have a result by it
    queued: int  # or running
    live_workers: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A content that both methods have a result for. ``log10_lrs``: by modality, those that there are.

    ``screening_id`` and ``filename`` are of its newest screening.
    """

    media_sha256: str
    kind: str | None
    verdicts: tuple[str, str]
    log10_lrs: tuple[Mapping[str, float], Mapping[str, float]]
    screening_id: str
    filename: str | None

    @property
    def has_moved(self) -> bool:
        """Whether the verdict is another."""
        return self.verdicts[0] != self.verdicts[1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How results moved from *one* method to the *other*."""

    counted: Mapping[tuple[str, str], int]  # contents by both verdicts
    pairs: tuple[Pair, ...]  # those that moved first, then the newest first
    only_one: int  # contents that the other has no result for

    @property
    def both(self) -> int:
        """Contents that both have a result for."""
        return sum(self.counted.values())

    @property
    def moved(self) -> int:
        """Of these, those whose verdict is another."""
        return sum(count for (before, after), count in self.counted.items() if before != after)


def known_methods(database: Database) -> list[KnownMethod]:
    """All that there are, the one that was seen last first."""
    of_method = computations.c.method_digest
    is_done = computations.c.state == State.DONE.value
    with database.read() as connection:
        is_alive = workers.c.lease_expires_at > database.now(connection)
        about = {row.digest: row for row in connection.execute(select(methods))}
        screened = _counted(connection, of_method, func.count(computations.c.media_sha256.distinct()), is_done)
        is_to_come = computations.c.state.in_([State.QUEUED.value, State.RUNNING.value])
        queued = _counted(connection, of_method, func.count(), is_to_come)
        alive = _counted(connection, workers.c.method_digest, func.count(), is_alive)
    found = [
        KnownMethod(
            digest,
            about[digest].about if digest in about else None,
            about[digest].first_seen_at if digest in about else None,
            screened.get(digest, 0),
            queued.get(digest, 0),
            alive.get(digest, 0),
        )
        for digest in about.keys() | screened.keys() | queued.keys() | alive.keys()
    ]
    return sorted(found, key=lambda method: (-(method.first_seen_at or 0.0), method.digest))


def compare(database: Database, one: str, other: str) -> Comparison:
    """Results by method *one* beside those by the *other* (digests), of all contents that are kept."""
    first, second = _results(one).subquery(), _results(other).subquery()
    both = first.join(second, first.c.media_sha256 == second.c.media_sha256)
    counting = select(first.c.verdict, second.c.verdict, func.count()).select_from(both)
    with database.read() as connection:
        rows = connection.execute(counting.group_by(first.c.verdict, second.c.verdict)).all()
        counted = Counter({(str(row[0]), str(row[1])): int(row[2]) for row in rows})
        all_of_one = connection.execute(select(func.count()).select_from(first)).scalar_one()
        pairs = [_pair(row) for row in connection.execute(_newest_pairs(first, second))]
    return Comparison(counted, tuple(pairs), int(all_of_one) - counted.total())


def queue_trial(database: Database, queue: Queue, caller: Caller, *, one: str, other: str, most: int) -> int:
    """Has *most* contents that only method *one* screened, the newest, computed by the *other*; gives how many."""
    tried = computations.alias()
    is_tried = exists().where(
        tried.c.media_sha256 == computations.c.media_sha256,
        tried.c.method_digest == other,
        tried.c.state != State.CANCELLED.value,
    )
    wanted = exists().where(screenings.c.media_sha256 == computations.c.media_sha256, screenings.c.deleted_at.is_(None))
    query = (
        select(computations.c.media_sha256, computations.c.media_bytes, func.max(computations.c.ended_at).label("at"))
        .where(computations.c.method_digest == one, computations.c.state == State.DONE.value, wanted, ~is_tried)
        .group_by(computations.c.media_sha256, computations.c.media_bytes)
        .order_by(func.max(computations.c.ended_at).desc(), computations.c.media_sha256)
        .limit(most)
    )
    with database.write() as connection:
        database.lock(connection, EVIDENCE_LOCK)  # nobody deletes the last screening of one meanwhile
        rows = connection.execute(query).all()
        for row in rows:
            queue.put(connection, media=(row.media_sha256, row.media_bytes), method_digest=other, attempt=1)
        if rows:
            details: dict[str, audit.Detail] = {"compared_with": one, "contents": len(rows)}
            audit.append(database, connection, actor=caller.id, act=TRIAL_QUEUED, subject=other, details=details)
    return len(rows)


def _counted(connection: Connection, by: Any, count: Any, condition: ColumnElement[bool]) -> dict[str, int]:
    rows = connection.execute(select(by, count).where(condition).group_by(by))
    return {str(row[0]): int(row[1]) for row in rows}


def _results(method_digest: str) -> Any:
    """In the database's words: the newest result of each content by a method."""
    later = computations.alias()
    is_later = and_(later.c.attempt > computations.c.attempt, later.c.state == State.DONE.value)
    is_same = and_(later.c.media_sha256 == computations.c.media_sha256, later.c.method_digest == method_digest)
    is_done = (computations.c.method_digest == method_digest) & (computations.c.state == State.DONE.value)
    columns = [computations.c[name] for name in ("media_sha256", "kind", "verdict", "log10_lrs", "ended_at")]
    return select(*columns).where(is_done, ~exists().where(is_same, is_later))


def _newest_pairs(first: Subquery, second: Subquery) -> Any:
    newest = screenings.alias()
    newest_id = (
        select(newest.c.id)
        .where(newest.c.media_sha256 == first.c.media_sha256, newest.c.deleted_at.is_(None))
        .order_by(newest.c.created_at.desc(), newest.c.id)
        .limit(1)
        .scalar_subquery()
    )
    pairs = first.join(second, first.c.media_sha256 == second.c.media_sha256)
    return (
        select(
            first.c.media_sha256, first.c.kind, first.c.verdict, first.c.log10_lrs,
            second.c.verdict.label("other_verdict"), second.c.log10_lrs.label("other_log10_lrs"),
            screenings.c.id, screenings.c.filename,
        )
        .select_from(pairs.join(screenings, screenings.c.id == newest_id))
        .order_by((first.c.verdict == second.c.verdict), first.c.ended_at.desc(), first.c.media_sha256)
        .limit(MOST_PAIRS)
    )  # fmt: skip


def _pair(row: Row[Any]) -> Pair:
    return Pair(
        row.media_sha256, row.kind, (row.verdict, row.other_verdict),
        (dict(row.log10_lrs or {}), dict(row.other_log10_lrs or {})), row.id, row.filename,
    )  # fmt: skip
