"""The register of a store: entries are added and amended, never changed in place, and every act is in the audit log."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select, tuple_, update

from deepscreen.errors import EntryAboveTlp, EntryChanged
from deepscreen.register.entry import Entry, Misuse, Statement, Status, Tlp, ToolKind, moment
from deepscreen.register.exchange import ExchangeFormat, written
from deepscreen.register.joining import IDS_AT_ONCE, copies_of, foreseen, join_campaign, regroup
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
    """What goes out, and the file of it. ``left_out``: how many entries stay, because of their marks."""

    entries: tuple[Kept, ...]
    content: bytes
    left_out: int


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of an import, in numbers of entries.

    ``refused``: ids of those that differ from what is there and are no later revision of the same origin.
    """

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
            join_campaign(connection, entry)
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
        with self._database.read() as connection:
            return tuple(copies_of(connection, subject)[-IDS_AT_ONCE:])

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
            # Evidence bundles hold the whole log: it proves the reason, which stands in the register alone.
            details["reason_sha256"] = hashlib.sha256(reason.encode()).hexdigest()
            self._log(connection, caller, MISUSE_AMENDED, entry_id, **details)
        return self.get(entry_id, caller)

    def share(self, caller: Caller, *, tlp: Tlp, file_format: str, ids: Sequence[str] = ()) -> Shared:
        """What may go to those who may see *tlp*: all entries, or those of *ids*, the oldest first.

        Raises EntryAboveTlp where one that is asked for by its id may not go there.
        """
        with self._database.read() as connection:
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
        content, left_out = written(going, ExchangeFormat(file_format)), len(found) - len(going)
        details: dict[str, audit.Detail] = {"entries": len(going), "left_out": left_out, "tlp": tlp.value}
        details |= {"format": file_format, "file_sha256": hashlib.sha256(content).hexdigest()}
        with self._database.write() as connection:
            self._log(connection, caller, MISUSE_EXPORTED, WHOLE_REGISTER, **details)
        return Shared(going, content, left_out)

    def take_in(
        self, caller: Caller, entries: Sequence[Entry], *, origin: str, file_sha256: str | None = None
    ) -> TakenIn:
        """Keeps what *origin* gave. Entries of this house, or of another origin, are never touched by it.

        *file_sha256*: of the file that they were read from, for the audit log.
        """
        added = amended = known = 0
        refused = []
        expected = foreseen(self._database, entries)
        with self._database.write() as connection:
            self._database.lock(connection, REGISTER_LOCK)
            for entry in entries:
                there = self._there(connection, entry.id)
                own = {"created_by": caller.id, "revised_by": caller.id, "origin": origin}
                if there is None:
                    self._insert(connection, entry, **own)
                    added += 1
                elif self._was_so(connection, entry):
                    known += 1
                elif there.origin == origin and _is_later(entry, there.entry):
                    self._supersede(connection, there, entry, revised_by=caller.id, reason=f"from {origin}")
                    amended += 1
                else:
                    refused.append(entry.id)
            if added:
                regroup(connection, expected)
            details: dict[str, audit.Detail] = {"added": added, "amended": amended, "known": known}
            details |= {"refused": len(refused), "origin": origin}
            details |= {} if file_sha256 is None else {"file_sha256": file_sha256}
            self._log(connection, caller, MISUSE_IMPORTED, WHOLE_REGISTER, **details)
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

    def _log(self, connection: Connection, caller: Caller, act: str, subject: str, **details: audit.Detail) -> None:
        audit.append(self._database, connection, actor=caller.id, act=act, subject=subject, details=details)


def _may_go(kept: Kept, audience: Tlp) -> bool:
    handed_on = kept.origin is not None and kept.entry.tlp in STAYS_HERE
    return kept.entry.tlp.reaches(audience) and not handed_on


def _is_later(entry: Entry, there: Entry) -> bool:
    """Whether it may stand above what is there: an entry keeps its file."""
    is_of_same_file = (entry.kind, entry.media_sha256, entry.created_at) == (
        there.kind, there.media_sha256, there.created_at,
    )  # fmt: skip
    return is_of_same_file and entry.revision > there.revision


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
