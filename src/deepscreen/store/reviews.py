"""Two persons: a result is final once somebody other than who asked for it has accepted or overridden it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from deepscreen.store import audit
from deepscreen.store.acts import SCREENING_REVIEWED
from deepscreen.store.database import Database
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import Item
from deepscreen.store.tables import reviews


class Decision(StrEnum):
    """What a reviewer decides."""

    ACCEPT = "accept"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Review:
    """A decision about one result. Time in seconds since 1970."""

    decision: Decision
    verdict: str  # the record's, or the one that overrides it; the record itself never changes
    reason: str
    reviewer: str
    reviewed_at: float


class AlreadyReviewed(Exception):
    """This result is final."""


class OwnWork(Exception):
    """Who asked for a screening cannot review it."""


def review_of(database: Database, item: Item) -> Review | None:
    """The review of the item's present result; a retry makes another result, which nobody has reviewed yet."""
    return reviews_of(database, [item]).get(item.id)


def reviews_of(database: Database, items: Sequence[Item]) -> dict[str, Review]:
    """The reviews of the present results of *items*, by the items' ids; what nobody has reviewed is not among them."""
    computed = {item.id: item.computation_id for item in items}
    with database.read() as connection:
        rows = connection.execute(select(reviews).where(reviews.c.screening_id.in_(computed))).all()
    return {
        row.screening_id: Review(Decision(row.decision), row.verdict, row.reason, row.reviewer, row.reviewed_at)
        for row in rows
        if row.computation_id == computed[row.screening_id]
    }


def review(database: Database, item: Item, caller: Caller, *, decision: Decision, verdict: str, reason: str) -> Review:
    """Makes the item's result final, for good; raises OwnWork or AlreadyReviewed."""
    if caller.id == item.created_by:
        raise OwnWork
    try:
        with database.write() as connection:
            made = Review(decision, verdict, reason, caller.id, database.now(connection))
            row = {"decision": decision.value, "verdict": verdict, "reason": reason, "reviewer": caller.id}
            keys = {"screening_id": item.id, "computation_id": item.computation_id}
            connection.execute(insert(reviews).values(**row, **keys, reviewed_at=made.reviewed_at))
            details: dict[str, audit.Detail] = {"decision": decision.value, "verdict": verdict, "reason": reason}
            details |= {"record_sha256": item.record_sha256}
            audit.append(
                database, connection, actor=caller.id, act=SCREENING_REVIEWED, subject=item.id, details=details
            )
    except IntegrityError as error:
        raise AlreadyReviewed from error
    return made
