"""The queue: what is to be computed, who has it and until when, and what came of it.

A worker holds a computation by a lease that it renews. When a worker falls silent its leases run out and others take
over. Every hand-over has a token of its own, and only its bearer can write a result: each ends once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import rfc8785
from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update

from deepscreen.errors import WorkerDied
from deepscreen.store import audit, fingerprints
from deepscreen.store.acts import COMPUTATION_ENDED
from deepscreen.store.database import Database
from deepscreen.store.tables import blob_uses, computations, methods, screenings, workers

METHODS_LOCK = 0x6D657468  # held while a method is written down: its workers may sign on at the same moment
EVIDENCE_LOCK = 0x65766964  # held while references to blobs are added or taken away
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 1.0, 60.0
NO_LEASE: dict[str, Any] = {"lease_holder": None, "lease_token": None, "lease_expires_at": None}


class State(StrEnum):
    """Where a computation or a screening stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class End(StrEnum):
    """What became of an outcome that a worker brought."""

    WRITTEN = "written"
    LOST = "lost"  # the lease was: another worker has the computation
    UNWANTED = "unwanted"  # all screenings of these bytes were deleted meanwhile: nothing of it is kept


@dataclass(frozen=True, slots=True)
class Claim:
    """A computation in a worker's hands."""

    id: str
    media_sha256: str
    media_bytes: int
    is_alone: bool
    postponed: int
    token: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a computation ended: with a record and the blobs that belong to it, or with an error."""

    state: State
    record_sha256: str | None = None
    thumbnail_sha256: str | None = None
    kind: str | None = None
    verdict: str | None = None
    log10_lrs: Mapping[str, float] | None = None  # by modality
    blobs: frozenset[str] = frozenset()
    stage_milliseconds: Mapping[str, float] | None = None
    fingerprints: Mapping[str, bytes] | None = None  # of the content, by kind
    error_type: str | None = None
    error_message: str | None = None


def computation_id(media_sha256: str, method_digest: str, attempt: int) -> str:
    """The same content under the same method is the same computation, whoever asks."""
    parts: dict[str, Any] = {"media": media_sha256, "method": method_digest, "attempt": attempt}
    return hashlib.sha256(rfc8785.dumps(parts)).hexdigest()


class Queue:
    """The computations of a database."""

    def __init__(self, database: Database, *, lease_seconds: float, max_deaths_alone: int) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._max_deaths_alone = max_deaths_alone

    def put(self, connection: Connection, *, media: tuple[str, int], method_digest: str, attempt: int) -> str:
        """The id of this computation of *media* (sha256, bytes), which is queued unless it is there already."""
        sha256, size_bytes = media
        found = computation_id(sha256, method_digest, attempt)
        state = connection.execute(select(computations.c.state).where(computations.c.id == found)).scalar()
        if state is None:
            row = {"id": found, "media_sha256": sha256, "media_bytes": size_bytes, "method_digest": method_digest}
            row |= {"attempt": attempt, "created_at": self._database.now(connection), "state": State.QUEUED.value}
            row |= {"postponed": 0, "is_alone": False, "deaths_alone": 0}
            connection.execute(insert(computations).values(row))
        elif state == State.CANCELLED:
            connection.execute(update(computations).where(computations.c.id == found).values(state=State.QUEUED.value))
        return found

    def depth(self) -> tuple[int, int]:
        """How many computations wait, and how many run."""
        counted = select(computations.c.state, func.count()).group_by(computations.c.state)
        live = counted.where(computations.c.state.in_([State.QUEUED.value, State.RUNNING.value]))
        with self._database.read() as connection:
            found = {row[0]: int(row[1]) for row in connection.execute(live)}
        return found.get(State.QUEUED.value, 0), found.get(State.RUNNING.value, 0)

    def claim(self, worker: str, method_digest: str, *, is_idle: bool) -> Claim | None:
        """The computation that has waited longest, now in the worker's hands; None where it must wait for more.

        One that is to run alone is handed to a worker with nothing else in hand, and until then holds back the rest.
        """
        with self._database.read() as connection:  # an empty queue is looked at often: without the writer's lock
            if connection.execute(self._next(self._database.now(connection), method_digest)).first() is None:
                return None
        # Lost in a power cut, it is as if the worker had died: the computation is queued still.
        with self._database.write(is_durable=False) as connection:
            now = self._database.now(connection)
            row = connection.execute(self._next(now, method_digest).with_for_update(skip_locked=True)).first()
            if row is None or (row.is_alone and not is_idle):
                return None
            token = secrets.token_hex(16)
            lease = {"lease_holder": worker, "lease_token": token, "lease_expires_at": now + self._lease_seconds}
            taken = update(computations).where(computations.c.id == row.id)
            connection.execute(taken.values(state=State.RUNNING.value, started_at=now, **lease))
        return Claim(row.id, row.media_sha256, row.media_bytes, row.is_alone, row.postponed, token)

    def reserve(self, claim: Claim, blobs: Iterable[str]) -> bool:
        """Says which blobs will be written, so that nobody removes them; False where the lease was lost."""
        # Lost in a power cut, the blobs are nobody's and are swept up; an end that is kept keeps this too.
        with self._database.write(is_durable=False) as connection:
            self._database.lock(connection, EVIDENCE_LOCK)
            if connection.execute(self._held(claim).values(lease_holder=computations.c.lease_holder)).rowcount == 0:
                return False
            _forget_uses(connection, claim.id)
            uses = [{"sha256": sha256, "computation_id": claim.id} for sha256 in sorted(set(blobs))]
            if uses:
                connection.execute(insert(blob_uses), uses)
        return True

    def finish(self, claim: Claim, outcome: Outcome, *, worker: str) -> End:
        """Writes how it ended, with its entry in the audit log; its blobs were reserved and written before."""
        with self._database.write() as connection:
            self._database.lock(connection, EVIDENCE_LOCK)
            is_wanted = connection.execute(select(_is_wanted(claim.media_sha256))).scalar()
            if not is_wanted:
                outcome = Outcome(State.CANCELLED)
            values = {
                "state": outcome.state.value,
                "ended_at": self._database.now(connection),
                "record_sha256": outcome.record_sha256,
                "thumbnail_sha256": outcome.thumbnail_sha256,
                "kind": outcome.kind,
                "verdict": outcome.verdict,
                "log10_lrs": dict(outcome.log10_lrs or {}),
                "stage_milliseconds": dict(outcome.stage_milliseconds or {}),
                "error_type": outcome.error_type,
                # It may quote the file; Postgres keeps no text with this character.
                "error_message": outcome.error_message and outcome.error_message.replace("\0", "\ufffd"),
            }
            if connection.execute(self._held(claim).values(**values, **NO_LEASE)).rowcount == 0:
                return End.LOST
            if outcome.state is State.DONE:
                fingerprints.keep(connection, claim.media_sha256, outcome.fingerprints or {})
            else:
                _forget_uses(connection, claim.id)
            self._log_end(connection, claim.id, outcome, actor=f"worker:{worker}")
        return End.WRITTEN if is_wanted else End.UNWANTED

    def postpone(self, claim: Claim) -> None:
        """Puts it back, to be tried again later; longer each time."""
        delay = min(FIRST_DELAY_SECONDS * 2**claim.postponed, LONGEST_DELAY_SECONDS)
        with self._database.write() as connection:
            again = {"state": State.QUEUED.value, "not_before": self._database.now(connection) + delay}
            connection.execute(self._held(claim).values(**again, postponed=claim.postponed + 1, **NO_LEASE))

    def renew(
        self,
        worker: str,
        method_digest: str,
        about: Mapping[str, Any],
        *,
        figures: str = "",
        is_candidate: bool = False,
    ) -> None:
        """Signs of life: the worker's own row, with its *figures*, and all its leases hold for another while."""
        with self._database.write(is_durable=False) as connection:
            now = self._database.now(connection)
            lease = {"lease_expires_at": now + self._lease_seconds}
            alive = update(workers).where(workers.c.id == worker).values(figures=figures, **lease)
            if connection.execute(alive).rowcount == 0:
                row = {"id": worker, "method_digest": method_digest, "about": dict(about), "started_at": now}
                row |= {"is_candidate": is_candidate}
                connection.execute(insert(workers).values(**row, figures=figures, **lease))
                self._remember(connection, method_digest, about)
            held = (computations.c.lease_holder == worker) & (computations.c.state == State.RUNNING.value)
            connection.execute(update(computations).where(held).values(**lease))

    def leave(self, worker: str) -> None:
        """The worker ends in peace: what it still holds goes back and counts against nothing."""
        with self._database.write() as connection:
            held = (computations.c.lease_holder == worker) & (computations.c.state == State.RUNNING.value)
            connection.execute(update(computations).where(held).values(state=State.QUEUED.value, **NO_LEASE))
            connection.execute(delete(workers).where(workers.c.id == worker))

    def release_dead(self, *, known_dead: str | None = None) -> list[str]:
        """Takes back what silent workers held, and gives the ids; *known_dead* is not waited for.

        A computation whose worker died runs alone next. Where workers die on it even then it is failed, with the
        reason: whatever ran beside it by chance is never charged.
        """
        running = computations.c.state == State.RUNNING.value
        query = select(
            computations.c.id, computations.c.media_sha256, computations.c.is_alone, computations.c.deaths_alone
        )
        with self._database.read() as connection:  # mostly there are none
            is_dead = or_(
                computations.c.lease_expires_at < self._database.now(connection),
                computations.c.lease_holder == (known_dead or ""),
            )
            if connection.execute(query.where(running, is_dead).limit(1)).first() is None:
                return []
        with self._database.write() as connection:
            self._database.lock(connection, EVIDENCE_LOCK)
            rows = connection.execute(query.where(running, is_dead).with_for_update(skip_locked=True)).all()
            for row in rows:
                self._release(connection, row)
        return [row.id for row in rows]

    def latest_worker(self) -> Row[Any] | None:
        """The worker by whose method new work is queued where this process has none: of the living, or else of all,
        the one that started last. One that is only a candidate is not asked."""
        with self._database.read() as connection:
            is_alive = workers.c.lease_expires_at > self._database.now(connection)
            at_work = select(workers).where(workers.c.is_candidate.is_not(True))
            newest_first = at_work.order_by(is_alive.desc(), workers.c.started_at.desc())
            return connection.execute(newest_first.limit(1)).first()

    def figures(self) -> dict[str, str]:
        """What each living worker has measured, by its id."""
        with self._database.read() as connection:
            is_alive = workers.c.lease_expires_at > self._database.now(connection)
            rows = connection.execute(select(workers.c.id, workers.c.figures).where(is_alive)).all()
        return {row.id: row.figures or "" for row in rows}

    def _next(self, now: float, method_digest: str) -> Any:
        is_due = or_(computations.c.not_before.is_(None), computations.c.not_before <= now)
        waiting = (computations.c.state == State.QUEUED.value) & (computations.c.method_digest == method_digest)
        return select(computations).where(waiting, is_due).order_by(computations.c.created_at).limit(1)

    def _held(self, claim: Claim) -> Any:
        is_held = (computations.c.lease_token == claim.token) & (computations.c.state == State.RUNNING.value)
        return update(computations).where(computations.c.id == claim.id, is_held)

    def _release(self, connection: Connection, row: Any) -> None:
        deaths = row.deaths_alone + bool(row.is_alone)
        values: dict[str, Any] = {"state": State.QUEUED.value, "is_alone": True, "deaths_alone": deaths}
        if not connection.execute(select(_is_wanted(row.media_sha256))).scalar():
            values["state"] = State.CANCELLED.value
        elif deaths >= self._max_deaths_alone and row.is_alone:
            failed = Outcome(
                State.FAILED,
                error_type=WorkerDied.__name__,
                error_message="the worker died on this file, more than once",
            )
            values |= {"state": State.FAILED.value, "ended_at": self._database.now(connection)}
            values |= {"error_type": failed.error_type, "error_message": failed.error_message}
            self._log_end(connection, row.id, failed, actor="service")
        if values["state"] != State.QUEUED.value:
            _forget_uses(connection, row.id)
        connection.execute(update(computations).where(computations.c.id == row.id).values(**values, **NO_LEASE))

    def _remember(self, connection: Connection, method_digest: str, about: Mapping[str, Any]) -> None:
        self._database.lock(connection, METHODS_LOCK)
        known = update(methods).where(methods.c.digest == method_digest).values(about=dict(about))
        if connection.execute(known).rowcount == 0:
            row = {"digest": method_digest, "about": dict(about), "first_seen_at": self._database.now(connection)}
            connection.execute(insert(methods).values(row))

    def _log_end(self, connection: Connection, computation: str, outcome: Outcome, *, actor: str) -> None:
        details = {
            "state": outcome.state.value,
            "record_sha256": outcome.record_sha256,
            "error_type": outcome.error_type,
        }
        audit.append(
            self._database, connection, actor=actor, act=COMPUTATION_ENDED, subject=computation, details=details
        )


def _is_wanted(media_sha256: str) -> Any:
    """Whether a screening of these bytes is left; only deletion takes that away."""
    return exists().where(screenings.c.media_sha256 == media_sha256, screenings.c.deleted_at.is_(None))


def _forget_uses(connection: Connection, computation: str) -> None:
    connection.execute(delete(blob_uses).where(blob_uses.c.computation_id == computation))
