"""Cases: what belongs together, and which keys work on it. Who is no member does not learn that a case exists."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, literal, select, union_all, update

from deepscreen.store import audit
from deepscreen.store.acts import CASE_CHANGED, CASE_CREATED
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import NotThere
from deepscreen.store.tables import api_keys, case_members, cases, screenings


@dataclass(frozen=True, slots=True)
class Case:
    """A case and its members (ids of keys). Times are seconds since 1970."""

    id: str
    name: str
    notes: str
    created_at: float
    created_by: str
    closed_at: float | None
    members: tuple[str, ...]


class Cases:
    """The cases of a database. All methods raise NotThere for a case that the caller may not know of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, caller: Caller, *, name: str, notes: str) -> Case:
        """A new case with the caller as its first member."""
        case_id = secrets.token_hex(16)
        with self._database.write() as connection:
            now = self._database.now(connection)
            row = {"id": case_id, "name": name, "notes": notes, "created_at": now, "created_by": caller.id}
            connection.execute(insert(cases).values(row))
            connection.execute(insert(case_members).values(case_id=case_id, key_id=caller.id))
            self._log(connection, caller, CASE_CREATED, case_id)
        return self.get(case_id, caller)

    def get(self, case_id: str, caller: Caller) -> Case:
        """One case."""
        with self._database.read() as connection:
            row = connection.execute(self._seen_by(caller).where(cases.c.id == case_id)).first()
            if row is None:
                raise NotThere
            return _cases(connection, [row])[0]

    def seen_by(self, caller: Caller, *, limit: int) -> list[Case]:
        """The cases that the caller may see, the newest first."""
        query = self._seen_by(caller).order_by(cases.c.created_at.desc(), cases.c.id).limit(limit)
        with self._database.read() as connection:
            return _cases(connection, connection.execute(query).all())

    def names(self, caller: Caller, case_ids: Collection[str]) -> dict[str, str]:
        """The names of those of the cases that the caller may see, by id."""
        query = self._seen_by(caller).where(cases.c.id.in_(case_ids))
        with self._database.read() as connection:
            return {row.id: row.name for row in connection.execute(query)} if case_ids else {}

    def log(self, case_id: str, caller: Caller, *, limit: int) -> list[audit.Entry]:
        """The newest entries of the audit log about the case, and about every item that is or was in it, in order."""
        self.get(case_id, caller)
        subjects = union_all(select(literal(case_id)), select(screenings.c.id).where(screenings.c.case_id == case_id))
        with self._database.read() as connection:
            return audit.newest_entries(connection, select(subjects.subquery()), limit=limit)

    def change(self, case_id: str, caller: Caller, *, name: str | None, notes: str | None, closed: bool | None) -> Case:
        """Changes what is given. A closed case takes no new items; it can be opened again."""
        self.get(case_id, caller)
        with self._database.write() as connection:
            given: dict[str, Any] = {"name": name, "notes": notes}
            values = {column: value for column, value in given.items() if value is not None}
            if closed is not None:
                values["closed_at"] = self._database.now(connection) if closed else None
            if values:
                connection.execute(update(cases).where(cases.c.id == case_id).values(**values))
                self._log(connection, caller, CASE_CHANGED, case_id, changed=", ".join(sorted(values)))
        return self.get(case_id, caller)

    def add_member(self, case_id: str, caller: Caller, key_id: str) -> Case:
        """Lets another key work on the case; raises NotThere where there is no such key."""
        self.get(case_id, caller)
        with self._database.write() as connection:
            if connection.execute(select(api_keys.c.id).where(api_keys.c.id == key_id)).first() is None:
                raise NotThere
            # Locked: two may add the same member at the same moment.
            connection.execute(select(cases.c.id).where(cases.c.id == case_id).with_for_update())
            is_member = (case_members.c.case_id == case_id) & (case_members.c.key_id == key_id)
            if connection.execute(select(case_members.c.key_id).where(is_member)).first() is None:
                connection.execute(insert(case_members).values(case_id=case_id, key_id=key_id))
                self._log(connection, caller, CASE_CHANGED, case_id, member_added=key_id)
        return self.get(case_id, caller)

    def remove_member(self, case_id: str, caller: Caller, key_id: str) -> None:
        """Takes a key out of the case; raises NotThere where it is no member."""
        self.get(case_id, caller)
        with self._database.write() as connection:
            is_member = (case_members.c.case_id == case_id) & (case_members.c.key_id == key_id)
            if connection.execute(delete(case_members).where(is_member)).rowcount == 0:
                raise NotThere
            self._log(connection, caller, CASE_CHANGED, case_id, member_removed=key_id)

    def _seen_by(self, caller: Caller) -> Any:
        if caller.sees_all:
            return select(cases)
        is_member = exists().where(case_members.c.case_id == cases.c.id, case_members.c.key_id == caller.id)
        return select(cases).where(is_member)

    def _log(self, connection: Connection, caller: Caller, act: str, case_id: str, **details: audit.Detail) -> None:
        audit.append(self._database, connection, actor=caller.id, act=act, subject=case_id, details=details)


def _cases(connection: Connection, rows: Sequence[Row[Any]]) -> list[Case]:
    """Cases with their members, of which one query tells all."""
    query = select(case_members).where(case_members.c.case_id.in_([row.id for row in rows]))
    members: dict[str, list[str]] = {}
    for member in connection.execute(query.order_by(case_members.c.key_id)) if rows else ():
        members.setdefault(member.case_id, []).append(member.key_id)
    return [
        Case(
            row.id, row.name, row.notes, row.created_at, row.created_by, row.closed_at, tuple(members.get(row.id, ()))
        )
        for row in rows
    ]  # fmt: skip
