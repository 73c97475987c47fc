"""Lists of items: what a line shows, and which lines a reader asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query

from deepscreen.api.envelopes import path_of
from deepscreen.api.paging import position_of, token_of
from deepscreen.api.service import Service
from deepscreen.record import Verdict
from deepscreen.store.computations import State
from deepscreen.store.keys import Caller
from deepscreen.store.reviews import Review, reviews_of
from deepscreen.store.screenings import Filters, Item

ROWS_PER_PAGE = 50
MOST_CASES = 500
WHOLE_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``outcome``: the verdict, which a review may have overridden, or the state without one."""

    item: Item
    outcome: str
    review: Review | None
    case_name: str | None
    thumbnail_href: str | None

    @property
    def name(self) -> str:
        """What the file was called, or else how it is known."""
        return self.item.filename or f"sha256 {self.item.media_sha256[:16]}…"

    @property
    def is_open(self) -> bool:
        """Whether something will still change by itself."""
        return self.item.state in {State.QUEUED, State.RUNNING}


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of a list; ``after`` is where the next one begins, and None on the last."""

    rows: tuple[Row, ...]
    after: str | None


def filters_of(
    text: Annotated[str, Query(max_length=200)] = "",
    verdict: Annotated[Verdict | Literal[""], Query()] = "",
    kind: Annotated[Literal["image", "video", "audio", ""], Query()] = "",
    state: Annotated[State | Literal[""], Query()] = "",
    case: Annotated[str, Query(max_length=32)] = "",
    review: Annotated[Literal["wanted", "final", ""], Query()] = "",
) -> Filters:
    """What the form of filters sends; empty means any. A whole sha256 finds the file by its content."""
    wanted = text.strip()
    is_hash = WHOLE_HASH.fullmatch(wanted.lower()) is not None
    return Filters(
        case_id=case or None,
        media_sha256=wanted.lower() if is_hash else None,
        kind=kind or None,
        verdict=str(verdict) or None,
        filename=None if is_hash or not wanted else wanted,
        state=State(state) if state else None,
        is_reviewed=None if not review else review == "final",
    )


FiltersDep = Annotated[Filters, Depends(filters_of)]


def rows_of(
    service: Service, caller: Caller, filters: Filters, *, before: str | None, limit: int = ROWS_PER_PAGE
) -> Rows:
    """A page of the list; raises WrongParameter for a *before* that no page gave."""
    items = service.screenings.page(caller, filters, limit=limit, before=position_of(before))
    return Rows(as_rows(service, caller, items), token_of(items[-1]) if len(items) == limit else None)


def as_rows(service: Service, caller: Caller, items: Sequence[Item]) -> tuple[Row, ...]:
    """*items* as lines, with what two more queries tell of all of them."""
    reviews = reviews_of(service.store.database, items)
    names = service.cases.names(caller, {item.case_id for item in items if item.case_id})
    return tuple(_row(item, reviews.get(item.id), names.get(item.case_id or "")) for item in items)


def _row(item: Item, review: Review | None, case_name: str | None) -> Row:
    outcome = review.verdict if review else item.verdict if item.verdict else item.state.value
    thumbnail = f"{path_of(item)}/thumbnail" if item.thumbnail_sha256 else None
    return Row(item, outcome, review, case_name, thumbnail)
