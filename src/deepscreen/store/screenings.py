"""Screenings: who asked for what, in which case. Computations are shared; a screening does not tell with whom."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from deepscreen.store import audit, fingerprints
from deepscreen.store.acts import SCREENING_CANCELLED, SCREENING_CREATED, SCREENING_DELETED, SCREENING_RETRIED
from deepscreen.store.computations import EVIDENCE_LOCK, Queue, State
from deepscreen.store.keys import Caller
from deepscreen.store.removal import remove_or_leave
from deepscreen.store.shown import is_in_state, is_shown, shown_state
from deepscreen.store.store import Store
from deepscreen.store.tables import blob_uses, case_members, cases, computations, reviews, screenings
from deepscreen.store.webhooks import promise

ID_BYTES = 16  # 128 random bits: an id cannot be guessed or counted up


@dataclass(frozen=True, slots=True)
class Item:
    """A screening with what is known of its computation. Times are seconds since 1970."""

    id: str
    case_id: str | None
    filename: str | None
    media_sha256: str
    created_at: float
    created_by: str
    deleted_at: float | None
    computation_id: str
    method_digest: str
    state: State  # as its owner may see it
    is_computed: bool  # as it is
    record_sha256: str | None
    kind: str | None
    verdict: str | None
    stage_milliseconds: dict[str, float]
    error_type: str | None
    error_message: str | None
    thumbnail_sha256: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """What a screening is asked for with."""

    media_sha256: str
    media_bytes: int
    filename: str | None
    case_id: str | None
    idempotency_key: str | None
    actor: str | None = None  # who asks, for the audit log, where it is not the caller: on the machine itself


@dataclass(frozen=True, slots=True)
class Filters:
    """Which screenings a list shall hold; None: any."""

    case_id: str | None = None
    media_sha256: str | None = None
    kind: str | None = None
    verdict: str | None = None
    filename: str | None = None  # a part of it, in any case of letters
    method_digest: str | None = None
    other_method_than: str | None = None
    state: State | None = None  # as the caller is shown it
    is_reviewed: bool | None = None  # False: there is a result, and nobody has reviewed it yet


class NotThere(Exception):
    """No such screening or case, or one that the caller may not know of."""


class KeyReused(Exception):
    """The idempotency key was used before, for something else."""


class Screenings:
    """The screenings of a store."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store, self._queue = store, queue
        self._database = store.database

    def create(
        self, caller: Caller, request: Request, *, method_digest: str, original: Path | None
    ) -> tuple[Item, bool]:
        """The screening that was asked for, and whether it is new; the file *original* becomes a blob before.

        Without *original* there must be such a blob. Raises NotThere for a case that is not the caller's, KeyReused for
        a key that stands for another request, StoreError.
        """
        if original is not None:
            self._store.blobs.put_file(original, request.media_sha256)
        try:
            with self._database.write() as connection:
                known = self._known(connection, caller, request)
                found = known or self._insert(connection, caller, request, method_digest, original)
        except IntegrityError:  # the same key, at the same moment
            with self._database.read() as connection:
                known = self._known(connection, caller, request)
            if known is None:
                raise
            found = known
        return self.get(found, caller), known is None

    def get(self, screening_id: str, caller: Caller) -> Item:
        """One screening; raises NotThere, also for one that was deleted."""
        with self._database.read() as connection:
            row = connection.execute(seen_by(caller).where(screenings.c.id == screening_id)).first()
            if row is None:
                raise NotThere
            return item_of(row, self._database.now(connection))

    def has_result(self, screening_id: str) -> bool:
        """Whether it is there and a record belongs to it, whoever may see it."""
        with self._database.read() as connection:
            query = (
                select(computations.c.record_sha256)
                .join(screenings, screenings.c.computation_id == computations.c.id)
                .where(screenings.c.id == screening_id, screenings.c.deleted_at.is_(None))
            )
            return connection.execute(query).scalar() is not None

    def page(
        self, caller: Caller, filters: Filters, *, limit: int, before: tuple[float, str] | None = None
    ) -> list[Item]:
        """Screenings from the newest to the oldest, those older than *before* (time and id of the last one seen)."""
        query = seen_by(caller).where(*_conditions(filters))
        # A result that is not shown yet is not found by what it says either.
        is_about_results = any(
            wanted is not None for wanted in (filters.kind, filters.verdict, filters.is_reviewed)
        )  # fmt: skip
        if before is not None:
            query = query.where(tuple_(screenings.c.created_at, screenings.c.id) < before)
        query = query.order_by(screenings.c.created_at.desc(), screenings.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            now = self._database.now(connection)
            if is_about_results:  # in the query, or a page would be short, and a short page is the last one
                query = query.where(is_shown(now))
            if filters.state is not None:
                query = query.where(is_in_state(filters.state, now))
            items = [item_of(row, now) for row in connection.execute(query)]
        return [item for item in items if not is_about_results or item.record_sha256 is not None]

    def cancel(self, screening_id: str, caller: Caller) -> Item:
        """Takes the wish back; what runs already runs to its end, for nobody. Nothing happens to what has ended.

        Raises NotThere, also where it is deleted at the same moment.
        """
        item = self.get(screening_id, caller)
        if item.state not in {State.QUEUED, State.RUNNING}:
            return item
        with self._database.write() as connection:
            now = self._database.now(connection)
            if connection.execute(_still(screening_id).values(cancelled_at=now)).rowcount == 0:
                raise NotThere
            self._cancel_unwanted(connection, item.computation_id)
            self._log(connection, caller, SCREENING_CANCELLED, screening_id)
        return self.get(screening_id, caller)

    def retry(self, screening_id: str, caller: Caller, *, method_digest: str) -> Item:
        """Has what has ended computed again: a new attempt, or under another method the first one of that.

        Raises NotThere, also where it is deleted at the same moment.
        """
        item = self.get(screening_id, caller)
        if item.state in {State.QUEUED, State.RUNNING}:
            return item
        with self._database.write() as connection:
            self._database.lock(connection, EVIDENCE_LOCK)  # two owners of the same file may ask at the same moment
            old = connection.execute(select(computations).where(computations.c.id == item.computation_id)).one()
            attempt = old.attempt + 1 if old.method_digest == method_digest else 1
            media = (old.media_sha256, old.media_bytes)
            new = self._queue.put(connection, media=media, method_digest=method_digest, attempt=attempt)
            joined_at = self._joined_at(connection, caller, item.case_id, new)
            again = {"computation_id": new, "cancelled_at": None, "joined_at": joined_at}
            if connection.execute(_still(screening_id).values(**again)).rowcount == 0:
                raise NotThere  # and nothing is queued
            promise(self._database, connection, screening_id)
            self._log(connection, caller, SCREENING_RETRIED, screening_id, computation_id=new)
        return self.get(screening_id, caller)

    def delete(
        self, screening_id: str, caller: Caller, *, reason: str, only: ColumnElement[bool] | None = None
    ) -> tuple[audit.Entry, bool]:
        """Removes it; what nobody else refers to goes with it. Ids, hash and times stay as a tombstone.

        Gives the entry in the audit log that certifies it, and whether the original is gone. Raises NotThere, also
        where *only*, a condition on its row, does not hold at that moment.
        """
        item = self.get(screening_id, caller)
        with self._database.write() as connection:
            self._database.lock(connection, EVIDENCE_LOCK)
            meant = _still(screening_id).where(true() if only is None else only)
            values = {"deleted_at": self._database.now(connection), "filename": None, "idempotency_key": None}
            if connection.execute(meant.values(**values)).rowcount == 0:
                raise NotThere
            self._cancel_unwanted(connection, item.computation_id)
            unneeded = self._release_blobs(connection, item.media_sha256)
            details: dict[str, audit.Detail] = {
                "media_sha256": item.media_sha256,
                "reason": reason,
                "was_last": bool(unneeded),
            }
            entry = self._log(connection, caller, SCREENING_DELETED, screening_id, **details)
        # Only now: had the transaction failed, the blobs would be needed still.
        removed = remove_or_leave(self._store, unneeded, actor=caller.id)
        return entry, item.media_sha256 in removed

    def _insert(
        self, connection: Connection, caller: Caller, request: Request, method_digest: str, original: Path | None
    ) -> str:
        if request.case_id is not None and not self._may_add_to(connection, caller, request.case_id):
            raise NotThere
        self._database.lock(connection, EVIDENCE_LOCK)  # from here on nobody removes these bytes
        if not self._store.blobs.has(request.media_sha256):  # somebody did, between put_file and the lock
            if original is None:
                raise NotThere
            self._store.blobs.put_file(original, request.media_sha256)
        newest = select(func.max(computations.c.attempt)).where(
            computations.c.media_sha256 == request.media_sha256, computations.c.method_digest == method_digest
        )
        attempt = connection.execute(newest).scalar() or 1
        media = (request.media_sha256, request.media_bytes)
        computation = self._queue.put(connection, media=media, method_digest=method_digest, attempt=attempt)
        screening_id = secrets.token_hex(ID_BYTES)
        row = {
            "id": screening_id,
            "case_id": request.case_id,
            "computation_id": computation,
            "media_sha256": request.media_sha256,
            # Postgres keeps no text with this character, and a sender's name must not keep evidence out.
            "filename": request.filename and request.filename.replace("\0", "\ufffd"),
            "created_at": self._database.now(connection),
            "created_by": caller.id,
            "joined_at": self._joined_at(connection, caller, request.case_id, computation),
            "idempotency_key": request.idempotency_key,
        }
        connection.execute(insert(screenings).values(row))
        promise(self._database, connection, screening_id)
        details: dict[str, audit.Detail] = {
            "media_sha256": request.media_sha256,
            "case_id": request.case_id,
            "computation_id": computation,
        }
        actor = caller if request.actor is None else Caller(request.actor, caller.role)
        self._log(connection, actor, SCREENING_CREATED, screening_id, **details)
        return screening_id

    def _known(self, connection: Connection, caller: Caller, request: Request) -> str | None:
        if request.idempotency_key is None:
            return None
        is_same = (screenings.c.created_by == caller.id) & (screenings.c.idempotency_key == request.idempotency_key)
        row = connection.execute(select(screenings).where(is_same)).first()
        if row is None:
            return None
        if (row.media_sha256, row.case_id) != (request.media_sha256, request.case_id):
            raise KeyReused
        return str(row.id)

    def _joined_at(self, connection: Connection, caller: Caller, case_id: str | None, computation: str) -> float | None:
        """Now, where others than the caller and the case had this computed, or a trial of the method did; else None."""
        others = select(screenings.c.created_by, screenings.c.case_id).where(screenings.c.computation_id == computation)
        rows = connection.execute(others).all()
        if any(row.created_by == caller.id if case_id is None else row.case_id == case_id for row in rows):
            return None
        state = connection.execute(select(computations.c.state).where(computations.c.id == computation)).scalar_one()
        return self._database.now(connection) if rows or state != State.QUEUED.value else None

    def _cancel_unwanted(self, connection: Connection, computation: str) -> None:
        """A computation that nobody waits for any more is not begun."""
        wanted = exists().where(
            screenings.c.computation_id == computation,
            screenings.c.cancelled_at.is_(None),
            screenings.c.deleted_at.is_(None),
        )
        queued = (computations.c.id == computation) & (computations.c.state == State.QUEUED.value)
        connection.execute(update(computations).where(queued, ~wanted).values(state=State.CANCELLED.value))

    def _release_blobs(self, connection: Connection, media_sha256: str) -> set[str]:
        """Where no screening of these bytes is left: clears their results, and gives what may no longer be needed.

        What runs at this moment is let run; its end finds that nobody wants it.
        """
        left = select(screenings.c.id).where(
            screenings.c.media_sha256 == media_sha256, screenings.c.deleted_at.is_(None)
        )
        if connection.execute(left.limit(1)).first() is not None:
            return set()
        own = select(computations.c.id).where(
            computations.c.media_sha256 == media_sha256, computations.c.state != State.RUNNING.value
        )
        used = set(connection.execute(select(blob_uses.c.sha256).where(blob_uses.c.computation_id.in_(own))).scalars())
        connection.execute(blob_uses.delete().where(blob_uses.c.computation_id.in_(own)))
        cleared: dict[str, Any] = {"record_sha256": None, "thumbnail_sha256": None, "state": State.CANCELLED.value}
        cleared |= {"verdict": None, "log10_lrs": {}}
        connection.execute(update(computations).where(computations.c.id.in_(own)).values(**cleared))
        fingerprints.forget(connection, media_sha256)
        return {media_sha256} | used

    def _may_add_to(self, connection: Connection, caller: Caller, case_id: str) -> bool:
        is_open = select(cases.c.id).where(cases.c.id == case_id, cases.c.closed_at.is_(None))
        if not caller.sees_all:
            is_open = is_open.where(_is_member(caller, cases.c.id))
        return connection.execute(is_open).first() is not None

    def _log(
        self, connection: Connection, caller: Caller, act: str, subject: str, **details: audit.Detail
    ) -> audit.Entry:
        return audit.append(self._database, connection, actor=caller.id, act=act, subject=subject, details=details)


COMPUTED = (
    "state", "method_digest", "started_at", "ended_at", "record_sha256", "kind", "verdict", "stage_milliseconds",
    "error_type", "error_message", "thumbnail_sha256",
)  # fmt: skip


def _still(screening_id: str) -> Any:
    """The row to be changed, unless it was deleted."""
    return update(screenings).where(screenings.c.id == screening_id, screenings.c.deleted_at.is_(None))


def _is_member(caller: Caller, case_id: Any) -> Any:
    return exists().where(case_members.c.case_id == case_id, case_members.c.key_id == caller.id)


def _conditions(filters: Filters) -> list[Any]:
    equal = {
        screenings.c.case_id: filters.case_id,
        screenings.c.media_sha256: filters.media_sha256,
        computations.c.kind: filters.kind,
        computations.c.verdict: filters.verdict,
        computations.c.method_digest: filters.method_digest,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if filters.filename is not None:
        found.append(screenings.c.filename.icontains(filters.filename, autoescape=True))
    if filters.other_method_than is not None:
        found.append(computations.c.method_digest != filters.other_method_than)
    if filters.is_reviewed is not None:
        is_of_result = reviews.c.computation_id == screenings.c.computation_id
        reviewed = exists().where(reviews.c.screening_id == screenings.c.id, is_of_result)
        found.append(reviewed if filters.is_reviewed else ~reviewed)
    return found


def seen_by(caller: Caller) -> Select[Any]:
    """In the database's words: the screenings that the caller may see, as ``item_of`` wants them."""
    joined = screenings.join(computations, screenings.c.computation_id == computations.c.id)
    columns = (computations.c[name].label(f"c_{name}") for name in COMPUTED)
    query = select(screenings, *columns).select_from(joined).where(screenings.c.deleted_at.is_(None))
    if caller.sees_all:
        return query
    own = and_(screenings.c.created_by == caller.id, screenings.c.case_id.is_(None))
    return query.where(or_(own, _is_member(caller, screenings.c.case_id)))


def item_of(row: Row[Any], now: float) -> Item:
    """A row of ``seen_by`` as its owner may see it at the moment *now*."""
    computed, shown = State(row.c_state), shown_state(row, now)
    has_end = shown in {State.DONE, State.FAILED}
    return Item(
        id=row.id,
        case_id=row.case_id,
        filename=row.filename,
        media_sha256=row.media_sha256,
        created_at=row.created_at,
        created_by=row.created_by,
        deleted_at=row.deleted_at,
        computation_id=row.computation_id,
        method_digest=row.c_method_digest,
        state=shown,
        is_computed=computed in {State.DONE, State.FAILED},
        record_sha256=row.c_record_sha256 if has_end else None,
        kind=row.c_kind if has_end else None,
        verdict=row.c_verdict if has_end else None,
        stage_milliseconds=dict(row.c_stage_milliseconds or {}) if has_end else {},
        error_type=row.c_error_type if has_end else None,
        error_message=row.c_error_message if has_end else None,
        thumbnail_sha256=row.c_thumbnail_sha256 if has_end else None,
    )
