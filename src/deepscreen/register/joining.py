"""Campaigns in the database: a new entry joins its copies, and after an import all are grouped anew."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, true, update

from deepscreen.register.campaigns import Member, campaigns_of, near
from deepscreen.register.entry import Entry
from deepscreen.register.rows import columns_of
from deepscreen.register.subject import Subject
from deepscreen.store.database import Database
from deepscreen.store.tables import misuse_entries as table

IDS_AT_ONCE = 500  # databases bound the parameters of one statement


@dataclass(frozen=True, slots=True)
class Grouping:
    """What was compared, the oldest first, and what came of it: campaigns by ids of entries."""

    members: Sequence[Member]
    campaigns: dict[str, str]


def copies_of(connection: Connection, subject: Subject) -> list[str]:
    """Ids of the entries whose files are copies of this one, the oldest first."""
    content = None if subject.fingerprint is None else base64.b64decode(subject.fingerprint)
    asked = Member("", subject.kind, subject.media_sha256, content)
    return [member.id for member in near(asked, [_member(row) for row in _compared(connection, _is_near_able(asked))])]


def join_campaign(connection: Connection, entry: Entry) -> None:
    """Puts a new entry beside its copies, under the register's lock; it may join campaigns that were apart."""
    newest = Member(entry.id, entry.kind, entry.media_sha256, entry.fingerprint_bytes())
    rows = _compared(connection, _is_near_able(newest))
    copies = {member.id for member in near(newest, [_member(row) for row in rows if row.id != entry.id])}
    if not copies:
        return
    joined = {row.campaign for row in rows if row.id in copies} - {None}
    together = {(row.created_at, row.id) for row in rows if row.id in copies or row.id == entry.id}
    together |= {(row.created_at, row.id) for row in _compared(connection, table.c.campaign.in_(joined))}
    ids = [entry_id for _, entry_id in sorted(together)]
    _set_campaign(connection, ids, ids[0])


def foreseen(database: Database, entries: Sequence[Entry]) -> Grouping:
    """The campaigns that there will be once the new ones of *entries* are in: found before anybody has to wait."""
    with database.read() as connection:
        there = {(row.created_at, row.id): _member(row) for row in _compared(connection)}
    known = {member.id for member in there.values()}
    new = {
        (columns_of(entry)["created_at"], entry.id): Member(
            entry.id, entry.kind, entry.media_sha256, entry.fingerprint_bytes()
        )
        for entry in entries
        if entry.id not in known
    }
    if not new:
        return Grouping((), {})
    members = [member for _, member in sorted({**there, **new}.items(), key=lambda placed: placed[0])]
    return Grouping(members, campaigns_of(members))


def regroup(connection: Connection, expected: Grouping) -> None:
    """Sets all campaigns, under the register's lock, after many entries came at once; where there is by now something
    else than was *expected*, they are found anew.
    """
    rows = _compared(connection)
    members = [_member(row) for row in rows]
    found = expected.campaigns if list(expected.members) == members else campaigns_of(members)
    changed: dict[str, list[str]] = {}
    for row in rows:
        if row.id in found and row.campaign != found[row.id]:
            changed.setdefault(found[row.id], []).append(row.id)
    for campaign, ids in changed.items():
        _set_campaign(connection, ids, campaign)


def _compared(connection: Connection, condition: ColumnElement[bool] | None = None) -> list[Row[Any]]:
    """What is compared of the current entries of which the *condition* holds, the oldest first."""
    file = (table.c.kind, table.c.media_sha256, table.c.fingerprint)
    columns = (table.c.id, table.c.created_at, *file, table.c.campaign)
    query = select(*columns).where(table.c.is_current.is_(True), true() if condition is None else condition)
    return list(connection.execute(query.order_by(table.c.created_at, table.c.id)))


def _is_near_able(member: Member) -> ColumnElement[bool]:
    """Only files of one kind have fingerprints that compare."""
    is_same = table.c.media_sha256 == member.media_sha256
    return is_same if member.fingerprint is None else or_(is_same, table.c.kind == member.kind)


def _member(row: Row[Any]) -> Member:
    content = None if row.fingerprint is None else bytes(row.fingerprint)
    return Member(row.id, row.kind, row.media_sha256, content)


def _set_campaign(connection: Connection, ids: Sequence[str], campaign: str) -> None:
    for start in range(0, len(ids), IDS_AT_ONCE):
        is_meant = table.c.id.in_(ids[start : start + IDS_AT_ONCE]) & table.c.is_current.is_(True)
        connection.execute(update(table).where(is_meant).values(campaign=campaign))
