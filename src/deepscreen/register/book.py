"""The register of a store: entries are added and amended, never changed in place, and every act is in the audit log."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, tuple_, update

from deepscreen.errors import EntryAboveTlp, EntryChanged
from deepscreen.register.campaigns import Member, campaigns_of, near
from deepscreen.register.entry import Entry, Misuse, Statement, Status, Tlp, ToolKind, moment
from deepscreen.register.rows import Kept, columns_of, kept_of
from deepscreen.register.seen import as_told, current, in_campaign, sees
from deepscreen.register.subject import Subject
from deepscreen.store import audit
from deepscreen.store.acts import MISUSE_ADDED, MISUSE_AMENDED, MISUSE_EXPORTED, MISUSE_IMPORTED
from deepscreen.store.database import REGISTER_LOCK, Database
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import NotThere
from deepscreen.store.tables import misuse_entries as table

WHOLE_REGISTER = "misuse-register"  # the subject of audit entries that are about no single entry
IDS_AT_ONCE = 500  # databases bound the parameters of one statement
# What came from elsewhere under these marks was given to this house alone, and is not handed on.
STAYS_HERE = frozenset({Tlp.AMBER_STRICT, Tlp.RED})


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries a list shall hold; None: any."""

    tool: str | None = None  # a part of the name, in any case of letters
    tool_kind: ToolKind | None = None
    misuse: Misuse | None = None
    status: Status | None = None
    tlp: Tlp | None = None
    case_reference: str | None = None
    campaign: str | None = None
    media_sha256: str | None = None
    text: str | None = None  # a part of tool, modus operandi or case reference, in any case of letters
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What goes out. ``left_out``: how many entries stay, because of their marks."""

    entries: tuple[Kept, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of an import, in numbers of entries. ``refused``: ids of those that this origin did not give."""

    added: int
    amended: int
    known: int
    refused: tuple[str, ...]


class Register:
    """All methods raise NotThere for an entry that is not there or that the caller may not see.

    An examiner does not see entries of others that are marked red: these are for named people.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, caller: Caller, statement: Statement, subject: Subject, *, screening_id: str) -> Kept:
        """A new entry about the file of a screening."""
        entry_id = str(uuid.uuid4())
        with self._database.write() as connection:
            self._database.lock(connection, REGISTER_LOCK)
            now = moment(self._database.now(connection))
            entry = Entry(
                **statement.model_dump(),
                id=entry_id,
                revision=1,
                created_at=now,
                revised_at=now,
                kind=subject.kind,
                media_sha256=subject.media_sha256,
                fingerprint=subject.fingerprint,
            )
            own = {"created_by": caller.id, "revised_by": caller.id, "screening_id": screening_id}
            self._insert(connection, entry, **own)
            self._join_campaign(connection, entry)
            self._log(connection, caller, MISUSE_ADDED, entry_id, screening=screening_id, tlp=entry.tlp.value)
        return self.get(entry_id, caller)

    def get(self, entry_id: str, caller: Caller) -> Kept:
        """The current revision of one entry."""
        return self.history(entry_id, caller)[0]

    def history(self, entry_id: str, caller: Caller) -> list[Kept]:
        """All revisions of one entry that the caller may see, the current one first."""
        query = select(table).where(table.c.id == entry_id).order_by(table.c.revision.desc())
        with self._database.read() as connection:
            found = [kept_of(row) for row in connection.execute(query)]
            if not found or not sees(caller, found[0]):
                raise NotThere
            return as_told(connection, caller, [kept for kept in found if sees(caller, kept)])

    def page(
        self, caller: Caller, filters: Filters, *, limit: int, before: tuple[float, str] | None = None
    ) -> list[Kept]:
        """Current entries from the newest to the oldest, those older than *before* (time and id of the last one)."""
        query = current(caller).where(*_conditions(filters))
        if before is not None:
            query = query.where(tuple_(table.c.created_at, table.c.id) < before)
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            if filters.campaign is not None:
                query = query.where(in_campaign(connection, caller, filters.campaign))
            return as_told(connection, caller, [kept_of(row) for row in connection.execute(query)])

    def like(self, subject: Subject) -> tuple[str, ...]:
        """Ids of the entries whose files are copies of this one, as many as ``page`` can be asked for."""
        content = None if subject.fingerprint is None else base64.b64decode(subject.fingerprint)
        asked = Member("", subject.kind, subject.media_sha256, content)
        with self._database.read() as connection:
            others = [_member(row) for row in _compared(connection)]
        return tuple(member.id for member in near(asked, others)[-IDS_AT_ONCE:])

    def amend(self, entry_id: str, caller: Caller, statement: Statement, *, revision: int, reason: str) -> Kept:
        """Puts another revision above *revision*.

        Raises EntryChanged where that is not the current one any more, and EntryAboveTlp where the mark of an entry
        that others gave would be lowered.
        """
        with self._database.write() as connection:
            self._database.lock(connection, REGISTER_LOCK)
            before = self._there(connection, entry_id)
            if before is None or not sees(caller, before):
                raise NotThere
            if before.entry.revision != revision:
                raise EntryChanged(
                    f"revision {before.entry.revision} stands by now, not {revision}; read it and decide anew"
                )
            if before.origin is not None and not before.entry.tlp.reaches(statement.tlp):
                raise EntryAboveTlp(
                    f"entry {entry_id} was given under TLP:{before.entry.tlp}; only who gave it may mark it lower"
                )
            now = max(moment(self._database.now(connection)), before.entry.revised_at)
            changed = {**before.entry.model_dump(), **statement.model_dump()}
            entry = Entry(**{**changed, "revision": revision + 1, "revised_at": now})
            self._supersede(connection, before, entry, revised_by=caller.id, reason=reason)
            names = [name for name in Statement.model_fields if getattr(before.entry, name) != getattr(entry, name)]
            details: dict[str, audit.Detail] = {"revision": entry.revision, "changed": ", ".join(names)}
            self._log(connection, caller, MISUSE_AMENDED, entry_id, **details, reason=reason)
        return self.get(entry_id, caller)

    def share(self, caller: Caller, *, tlp: Tlp, file_format: str, ids: Sequence[str] = ()) -> Shared:
        """What may go to those who may see *tlp*: all entries, or those of *ids*, the oldest first.

        Raises EntryAboveTlp where one that is asked for by its id may not go there.
        """
        with self._database.write() as connection:
            query = current(caller).order_by(table.c.created_at, table.c.id)
            if ids:
                query = query.where(table.c.id.in_(ids))
            found = [kept_of(row) for row in connection.execute(query)]
            if len(found) < len(set(ids)):
                raise NotThere
            going = tuple(kept for kept in found if _may_go(kept, tlp))
            if ids and len(going) < len(found):
                stays = next(kept for kept in found if kept not in going)
                raise EntryAboveTlp(f"entry {stays.id} is marked {stays.entry.tlp} and may not go out as TLP:{tlp}")
            left_out = len(found) - len(going)
            details: dict[str, audit.Detail] = {"entries": len(going), "left_out": left_out, "tlp": tlp.value}
            self._log(connection, caller, MISUSE_EXPORTED, WHOLE_REGISTER, **details, format=file_format)
        return Shared(going, left_out)

    def take_in(self, caller: Caller, entries: Sequence[Entry], *, origin: str) -> TakenIn:
        """Keeps what *origin* gave. Entries of this house, or of another origin, are never touched by it."""
        added = amended = known = 0
        refused = []
        with self._database.write() as connection:
            self._database.lock(connection, REGISTER_LOCK)
            for entry in entries:
                there = self._there(connection, entry.id)
                own = {"created_by": caller.id, "revised_by": caller.id, "origin": origin}
                if there is None:
                    self._insert(connection, entry, **own)
                    added += 1
                elif there.origin != origin:
                    is_known = self._was_so(connection, entry)
                    known += is_known
                    refused += [] if is_known else [entry.id]
                elif entry.revision > there.entry.revision and _same_file(entry, there.entry):
                    self._supersede(connection, there, entry, revised_by=caller.id, reason=f"from {origin}")
                    amended += 1
                else:
                    known += 1
            if added:
                self._regroup(connection)
            details: dict[str, audit.Detail] = {"added": added, "amended": amended, "known": known}
            self._log(
                connection, caller, MISUSE_IMPORTED, WHOLE_REGISTER, **details, refused=len(refused), origin=origin
            )
        return TakenIn(added, amended, known, tuple(refused))

    def _there(self, connection: Connection, entry_id: str) -> Kept | None:
        row = connection.execute(select(table).where(table.c.id == entry_id, table.c.is_current.is_(True))).first()
        return None if row is None else kept_of(row)

    def _was_so(self, connection: Connection, entry: Entry) -> bool:
        """Whether a revision of the entry says, or said, just this."""
        is_meant = (table.c.id == entry.id) & (table.c.revision == entry.revision)
        row = connection.execute(select(table).where(is_meant)).first()
        return row is not None and kept_of(row).entry == entry

    def _insert(self, connection: Connection, entry: Entry, **own: Any) -> None:
        empty = {"screening_id": None, "origin": None, "campaign": None, "reason": ""}
        connection.execute(insert(table).values({**columns_of(entry), "is_current": True, **empty, **own}))

    def _supersede(self, connection: Connection, before: Kept, entry: Entry, *, revised_by: str, reason: str) -> None:
        connection.execute(update(table).where(table.c.id == before.id).values(is_current=False, campaign=None))
        kept = {name: getattr(before, name) for name in ("created_by", "screening_id", "origin", "campaign")}
        self._insert(connection, entry, **kept, revised_by=revised_by, reason=reason)

    def _join_campaign(self, connection: Connection, entry: Entry) -> None:
        """Puts a new entry beside its copies, under the register's lock; it may join campaigns that were apart."""
        rows = _compared(connection)
        others = [_member(row) for row in rows if row.id != entry.id]
        newest = Member(entry.id, entry.kind, entry.media_sha256, entry.fingerprint_bytes())
        copies = {member.id for member in near(newest, others)}
        if not copies:
            return
        joined = {row.campaign for row in rows if row.id in copies} - {None}
        together = [row.id for row in rows if row.id in copies or row.id == entry.id or row.campaign in joined]
        _set_campaign(connection, together, together[0])

    def _regroup(self, connection: Connection) -> None:
        """Finds all campaigns anew, under the register's lock, after many entries came at once."""
        rows = _compared(connection)
        found = campaigns_of([_member(row) for row in rows])
        changed: dict[str, list[str]] = {}
        for row in rows:
            if row.id in found and row.campaign != found[row.id]:
                changed.setdefault(found[row.id], []).append(row.id)
        for campaign, ids in changed.items():
            _set_campaign(connection, ids, campaign)

    def _log(self, connection: Connection, caller: Caller, act: str, subject: str, **details: audit.Detail) -> None:
        audit.append(self._database, connection, actor=caller.id, act=act, subject=subject, details=details)


def _compared(connection: Connection) -> list[Row[Any]]:
    """What is compared of all current entries, the oldest first."""
    columns = (table.c.id, table.c.kind, table.c.media_sha256, table.c.fingerprint, table.c.campaign)
    query = select(*columns).where(table.c.is_current.is_(True)).order_by(table.c.created_at, table.c.id)
    return list(connection.execute(query))


def _member(row: Row[Any]) -> Member:
    return Member(row.id, row.kind, row.media_sha256, row.fingerprint)


def _set_campaign(connection: Connection, ids: Sequence[str], campaign: str) -> None:
    for start in range(0, len(ids), IDS_AT_ONCE):
        is_meant = table.c.id.in_(ids[start : start + IDS_AT_ONCE]) & table.c.is_current.is_(True)
        connection.execute(update(table).where(is_meant).values(campaign=campaign))


def _may_go(kept: Kept, audience: Tlp) -> bool:
    handed_on = kept.origin is not None and kept.entry.tlp in STAYS_HERE
    return kept.entry.tlp.reaches(audience) and not handed_on


def _same_file(one: Entry, other: Entry) -> bool:
    return (one.kind, one.media_sha256, one.created_at) == (other.kind, other.media_sha256, other.created_at)


def _conditions(filters: Filters) -> list[Any]:
    equal = {
        table.c.tool_kind: filters.tool_kind,
        table.c.misuse: filters.misuse,
        table.c.status: filters.status,
        table.c.tlp: filters.tlp,
        table.c.case_reference: filters.case_reference,
        table.c.media_sha256: filters.media_sha256,
    }
    found = [column == str(value) for column, value in equal.items() if value is not None]
    if filters.ids is not None:
        found.append(table.c.id.in_(filters.ids))
    if filters.tool is not None:
        found.append(table.c.tool.icontains(filters.tool, autoescape=True))
    if filters.text is not None:
        searched = (table.c.tool, table.c.modus_operandi, table.c.case_reference)
        found.append(or_(*(column.icontains(filters.text, autoescape=True) for column in searched)))
    return found
