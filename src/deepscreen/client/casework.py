"""What the clients do with cases, reviews and the course of a screening."""

from __future__ import annotations

from deepscreen.api.wire import (
    CaseChange,
    CaseInfo,
    CaseList,
    DeletionCertificate,
    NewCase,
    ReviewRequest,
    ScreeningEnvelope,
)
from deepscreen.client.flows import Call, Flow, insist, once, read
from deepscreen.record import Verdict
from deepscreen.store.reviews import Decision

MOST_CASES = 500


def create_case(name: str, *, notes: str) -> Flow[CaseInfo]:
    """Opens a case."""
    return read(CaseInfo, (yield from once("POST", "/v1/cases", json=NewCase(name=name, notes=notes).model_dump())))


def cases() -> Flow[tuple[CaseInfo, ...]]:
    """The newest cases that the key may see."""
    return read(CaseList, (yield from insist(Call("GET", "/v1/cases", params={"limit": MOST_CASES})))).cases


def case(case_id: str) -> Flow[CaseInfo]:
    """A case with its members."""
    return read(CaseInfo, (yield from insist(Call("GET", f"/v1/cases/{case_id}"))))


def change_case(case_id: str, *, name: str | None, notes: str | None, closed: bool | None) -> Flow[CaseInfo]:
    """Changes what is given."""
    change = CaseChange(name=name, notes=notes, closed=closed).model_dump(exclude_none=True)
    return read(CaseInfo, (yield from insist(Call("PATCH", f"/v1/cases/{case_id}", json=change))))


def add_member(case_id: str, key_id: str) -> Flow[CaseInfo]:
    """Lets another key work on a case."""
    return read(CaseInfo, (yield from insist(Call("PUT", f"/v1/cases/{case_id}/members/{key_id}"))))


def remove_member(case_id: str, key_id: str) -> Flow[None]:
    """Takes a key out of a case."""
    yield from once("DELETE", f"/v1/cases/{case_id}/members/{key_id}")


def review(screening_id: str, *, verdict: Verdict | None, reason: str) -> Flow[ScreeningEnvelope]:
    """Accepts a result, or overrides it where a *verdict* is given."""
    decision = Decision.ACCEPT if verdict is None else Decision.OVERRIDE
    wanted = ReviewRequest(decision=decision, verdict=verdict, reason=reason)
    path = f"/v1/screenings/{screening_id}/review"
    return read(ScreeningEnvelope, (yield from once("POST", path, json=wanted.model_dump(mode="json"))))


def cancel(screening_id: str) -> Flow[ScreeningEnvelope]:
    """Takes a screening back, unless it has ended."""
    return read(ScreeningEnvelope, (yield from insist(Call("POST", f"/v1/screenings/{screening_id}/cancel"))))


def retry(screening_id: str) -> Flow[ScreeningEnvelope]:
    """Has the same file screened again."""
    return read(ScreeningEnvelope, (yield from once("POST", f"/v1/screenings/{screening_id}/retry")))


def delete(screening_id: str, *, reason: str) -> Flow[DeletionCertificate]:
    """Deletes a screening for good."""
    path = f"/v1/screenings/{screening_id}"
    return read(DeletionCertificate, (yield from once("DELETE", path, params={"reason": reason})))
