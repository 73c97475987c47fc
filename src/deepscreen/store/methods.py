"""Methods: which of them the queue waits for, who has them, and what was screened by another one than today's.

A worker takes only what was queued for its own method. What waits for a method that no worker has any more stays where
it is, and is told of; it moves when somebody says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update

from deepscreen.store.computations import Queue, State
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import NotThere, Request, Screenings
from deepscreen.store.tables import blob_uses, computations, reviews, screenings, workers

COMMAND_LINE = "command-line"  # as for keys: whoever works on the machine itself


@dataclass(frozen=True, slots=True)
class MethodLoad:
    """How much waits for a method, and how many workers with it are alive."""

    method_digest: str
    queued: int
    live_workers: int


@dataclass(frozen=True, slots=True)
class Stale:
    """A screening whose file was not screened by today's method in the same case, for the same owner."""

    id: str
    case_id: str | None
    filename: str | None
    created_by: str
    media_sha256: str
    media_bytes: int
    method_digest: str
    is_final: bool  # reviewed


def method_loads(database: Database) -> list[MethodLoad]:
    """Every method that work waits for or that a live worker has."""
    waiting = (
        select(computations.c.method_digest, func.count())
        .where(computations.c.state == State.QUEUED.value)
        .group_by(computations.c.method_digest)
    )
    with database.read() as connection:
        is_alive = workers.c.lease_expires_at > database.now(connection)
        having = select(workers.c.method_digest, func.count()).where(is_alive).group_by(workers.c.method_digest)
        queued = {row[0]: int(row[1]) for row in connection.execute(waiting)}
        alive = {row[0]: int(row[1]) for row in connection.execute(having)}
    return [MethodLoad(name, queued.get(name, 0), alive.get(name, 0)) for name in sorted(queued | alive)]


def move_waiting(database: Database, queue: Queue, method_digest: str) -> int:
    """Moves what waits for a method that no live worker has to this one; gives how many computations were moved."""
    with database.write() as connection:
        live = select(workers.c.method_digest).where(workers.c.lease_expires_at > database.now(connection))
        orphans = select(computations).where(
            computations.c.state == State.QUEUED.value,
            computations.c.method_digest != method_digest,
            computations.c.method_digest.not_in(live),
        )
        rows = connection.execute(orphans.with_for_update(skip_locked=True)).all()
        for row in rows:
            media = (row.media_sha256, row.media_bytes)
            new = queue.put(connection, media=media, method_digest=method_digest, attempt=row.attempt)
            moved = update(screenings).where(screenings.c.computation_id == row.id)
            connection.execute(moved.values(computation_id=new))
            connection.execute(delete(blob_uses).where(blob_uses.c.computation_id == row.id))
            connection.execute(delete(computations).where(computations.c.id == row.id))
    return len(rows)


def stale(database: Database, method_digest: str) -> list[Stale]:
    """What ended under another method and was not screened by this one since, the oldest first."""
    newer, newer_work = screenings.alias(), computations.alias()
    is_known = (
        exists()
        .where(newer.c.computation_id == newer_work.c.id, newer_work.c.method_digest == method_digest)
        .where(newer.c.media_sha256 == screenings.c.media_sha256, newer.c.created_by == screenings.c.created_by)
        .where(newer.c.case_id.is_not_distinct_from(screenings.c.case_id), newer.c.deleted_at.is_(None))
    )
    reviewed = exists().where(
        reviews.c.screening_id == screenings.c.id, reviews.c.computation_id == screenings.c.computation_id
    )
    ended = computations.c.state.in_([State.DONE.value, State.FAILED.value])
    query = (
        select(screenings, computations.c.media_bytes, computations.c.method_digest, reviewed.label("is_final"))
        .join(computations, screenings.c.computation_id == computations.c.id)
        .where(screenings.c.deleted_at.is_(None), screenings.c.cancelled_at.is_(None), ended)
        .where(computations.c.method_digest != method_digest, ~is_known)
        .order_by(screenings.c.created_at, screenings.c.id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [
        Stale(
            id=row.id, case_id=row.case_id, filename=row.filename, created_by=row.created_by,
            media_sha256=row.media_sha256, media_bytes=row.media_bytes, method_digest=row.method_digest,
            is_final=bool(row.is_final),
        )
        for row in rows
    ]  # fmt: skip


def rescreen(asked: Screenings, old: Stale, *, method_digest: str) -> str | None:
    """Queues the file of *old* as a new screening of the same owner and case, beside the old one; gives its id.

    None where the file was deleted, or the case closed, meanwhile.
    """
    request = Request(old.media_sha256, old.media_bytes, old.filename, old.case_id, None, actor=COMMAND_LINE)
    owner = Caller(old.created_by, Role.ADMIN)  # for the owner, who may have left the case since
    try:
        item, _ = asked.create(owner, request, method_digest=method_digest, original=None)
    except NotThere:
        return None
    return item.id
