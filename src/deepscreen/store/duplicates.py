"""Near-duplicates of an item: copies in another coding, among what its reader may see of the same case.

An item of no case is compared with those of its sender that belong to none. Nothing of other cases is ever told: not
that there is a copy, and not, by how soon an end is shown, that there was one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, select

from deepscreen.fingerprints.kinds import CLIP, PICTURE, SOUND
from deepscreen.fingerprints.nearness import near
from deepscreen.store import fingerprints
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import Item, item_of, seen_by
from deepscreen.store.shown import is_shown
from deepscreen.store.tables import computations, screenings
from deepscreen.store.tables import fingerprints as kept

# The newest contents of a case that one is compared with; of sounds fewer, for comparing one takes milliseconds.
MOST_COMPARED = {PICTURE: 20_000, CLIP: 5_000, SOUND: 300}
MOST_FOUND = 50


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """An item of the cluster. ``kinds``: of the streams that are alike, itself or by way of others; empty where the
    file is the very same."""

    item: Item
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The others of an item's cluster, the newest first. ``is_whole``: there was not too much to compare or to list."""

    others: tuple[NearDuplicate, ...]
    kinds_compared: tuple[str, ...]  # empty: the item has nothing to be told by, or was screened before there were any
    is_whole: bool


def near_duplicates(database: Database, item: Item, caller: Caller) -> Cluster:
    """The cluster of an item that the caller may see and that has a result: each in it is near one other."""
    with database.read() as connection:
        own = fingerprints.kept_of(connection, item.media_sha256)
        place = _same_place(item, database.now(connection))
        found: dict[str, list[str]] = {item.media_sha256: []}
        is_whole = True
        for kind, content in sorted(own.items()):
            others = _contents(connection, kind, place)
            is_whole = is_whole and len(others) < MOST_COMPARED[kind]
            others.pop(item.media_sha256, None)
            for sha256 in _cluster(kind, content, others):
                found.setdefault(sha256, []).append(kind)
        rows = connection.execute(
            seen_by(caller)
            .where(*place, screenings.c.media_sha256.in_(found), screenings.c.id != item.id)
            .order_by(screenings.c.created_at.desc(), screenings.c.id)
            .limit(MOST_FOUND + 1)
        ).all()
        now = database.now(connection)
    others_found = [NearDuplicate(item_of(row, now), tuple(found[row.media_sha256])) for row in rows[:MOST_FOUND]]
    return Cluster(tuple(others_found), tuple(sorted(own)), is_whole and len(rows) <= MOST_FOUND)


def kinds_alike(database: Database, one: Item, other: Item) -> tuple[str, ...]:
    """Of which kinds two items are near each other; the reader may see both."""
    with database.read() as connection:
        first, second = (fingerprints.kept_of(connection, item.media_sha256) for item in (one, other))
    return tuple(kind for kind in sorted(first) if kind in second and near(kind, first[kind], [second[kind]]))


def _same_place(item: Item, now: float) -> list[ColumnElement[bool]]:
    """In the database's words: of the same case, with a result that its owner may see."""
    if item.case_id is not None:
        return [screenings.c.case_id == item.case_id, is_shown(now)]
    return [and_(screenings.c.case_id.is_(None), screenings.c.created_by == item.created_by), is_shown(now)]


def _contents(connection: Connection, kind: str, place: Sequence[ColumnElement[bool]]) -> dict[str, bytes]:
    """Fingerprints by content, of the newest contents of a place."""
    newest = (
        select(screenings.c.media_sha256, func.max(screenings.c.created_at).label("at"))
        .select_from(screenings.join(computations, screenings.c.computation_id == computations.c.id))
        .where(screenings.c.deleted_at.is_(None), *place)
        .group_by(screenings.c.media_sha256)
        .subquery()
    )
    query = (
        select(kept.c.media_sha256, kept.c.content)
        .join(newest, newest.c.media_sha256 == kept.c.media_sha256)
        .where(kept.c.kind == kind)
        .order_by(newest.c.at.desc(), kept.c.media_sha256)
        .limit(MOST_COMPARED[kind])
    )
    return {row.media_sha256: row.content for row in connection.execute(query)}


def _cluster(kind: str, content: bytes, others: dict[str, bytes]) -> list[str]:
    """What is near *content*, and what is near that, and so on; one more than ``MOST_FOUND`` where there are more."""
    left, found, to_ask = dict(others), list[str](), [content]
    while to_ask and len(found) <= MOST_FOUND:
        names = list(left)
        for position in near(kind, to_ask.pop(0), list(left.values())):
            found.append(names[position])
            to_ask.append(left.pop(names[position]))
    return found[: MOST_FOUND + 1]
