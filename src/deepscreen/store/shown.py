"""What an owner may see of a computation: an early end would tell that somebody else had the same file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_

from deepscreen.store.computations import State
from deepscreen.store.tables import computations, screenings


def is_shown(now: float) -> ColumnElement[bool]:
    """In the database's words: there is a record that its owner may see."""
    has_record = computations.c.record_sha256.is_not(None)
    return and_(screenings.c.cancelled_at.is_(None), has_record, _is_due(now))


def is_in_state(state: State, now: float) -> ColumnElement[bool]:
    """In the database's words: what ``shown_state`` says."""
    if state is State.CANCELLED:
        return or_(screenings.c.cancelled_at.is_not(None), computations.c.state == state.value)
    is_meant: ColumnElement[bool] = computations.c.state == state.value
    has_ended = computations.c.state.in_([State.DONE.value, State.FAILED.value])
    if state is State.RUNNING:
        is_meant = or_(is_meant, and_(has_ended, ~_is_due(now)))
    elif state in {State.DONE, State.FAILED}:
        is_meant = and_(is_meant, _is_due(now))
    return and_(screenings.c.cancelled_at.is_(None), is_meant)


def _is_due(now: float) -> ColumnElement[bool]:
    """It was computed for its owner, or as much time has passed as if it had been."""
    took_seconds = func.coalesce(computations.c.ended_at, 0.0) - func.coalesce(
        computations.c.started_at, computations.c.ended_at, 0.0
    )
    return or_(screenings.c.joined_at.is_(None), screenings.c.joined_at + took_seconds <= now)


def shown_state(row: Row[Any], now: float) -> State:
    """What its owner may see: an early end would tell that somebody else had the same file."""
    if row.cancelled_at is not None:
        return State.CANCELLED
    state = State(row.c_state)
    if row.joined_at is not None and state in {State.DONE, State.FAILED}:
        took_seconds = (row.c_ended_at or 0.0) - (row.c_started_at or row.c_ended_at or 0.0)
        if now < row.joined_at + took_seconds:
            return State.RUNNING
    return state
