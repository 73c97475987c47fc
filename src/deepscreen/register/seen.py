"""What a caller sees of the register: an examiner neither sees others' red entries, nor their ids as a campaign's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, func, or_, select, true

from deepscreen.register.entry import Tlp
from deepscreen.register.rows import Kept
from deepscreen.store.keys import Caller
from deepscreen.store.tables import misuse_entries as table


def sees(caller: Caller, kept: Kept) -> bool:
    """Whether this revision is open to the caller; red ones are for named people."""
    return caller.sees_all or kept.entry.tlp is not Tlp.RED or kept.created_by == caller.id


def current(caller: Caller) -> Any:
    """The query for all current entries that the caller sees."""
    return select(table).where(table.c.is_current.is_(True), _is_seen(caller))


def as_told(connection: Connection, caller: Caller, found: Sequence[Kept]) -> list[Kept]:
    """The same, with campaigns named by the oldest entry that the caller sees; None where it sees no second one."""
    if caller.sees_all:
        return list(found)
    names = _names(connection, caller, {kept.campaign for kept in found if kept.campaign is not None})
    return [replace(kept, campaign=names.get(kept.campaign or "")) for kept in found]


def in_campaign(connection: Connection, caller: Caller, name: str) -> ColumnElement[bool]:
    """The condition on rows of the campaign that the caller is told by this name."""
    if caller.sees_all:
        return table.c.campaign.in_((name,))
    row = connection.execute(current(caller).where(table.c.id == name)).first()
    kept_as = None if row is None else row.campaign
    if kept_as is None or _names(connection, caller, {kept_as}).get(kept_as) != name:
        return false()
    return table.c.campaign.in_((kept_as,))


def _is_seen(caller: Caller) -> ColumnElement[bool]:
    if caller.sees_all:
        return true()
    return or_(table.c.tlp != Tlp.RED.value, table.c.created_by == caller.id)


def _names(connection: Connection, caller: Caller, campaigns: set[str]) -> dict[str, str]:
    """By campaign of which the caller sees two entries: the id of the oldest of them."""
    if not campaigns:
        return {}
    of_one = table.c.campaign
    place = func.row_number().over(partition_by=of_one, order_by=(table.c.created_at, table.c.id)).label("place")
    count = func.count().over(partition_by=of_one).label("count")
    is_meant = (table.c.is_current.is_(True), of_one.in_(campaigns), _is_seen(caller))
    seen = select(of_one, table.c.id, place, count).where(*is_meant).subquery()
    query = select(seen.c.campaign, seen.c.id).where(seen.c.place == 1, seen.c["count"] > 1)
    return {row.campaign: row.id for row in connection.execute(query)}
