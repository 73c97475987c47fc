"""Cases: all of them, and one with its items, notes, members and what was done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from deepscreen.api.auth import AUDITORS, WRITERS
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.store.screenings import Filters, NotThere
from deepscreen.web.page import render
from deepscreen.web.rows import MOST_CASES, rows_of

ITEMS_SHOWN = 200
ENTRIES_SHOWN = 200
router = APIRouter(include_in_schema=False)


@router.get("/cases")
def cases_page(request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """The cases that the caller may see."""
    cases = service.cases.seen_by(caller, limit=MOST_CASES)
    return render(request, caller, "cases.html", cases=cases, may_open=caller.role in WRITERS)


@router.get("/cases/{case_id}")
def case_page(
    case_id: str,
    request: Request,
    service: ServiceDep,
    caller: Anyone,
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """A case; auditors and admins see what was done in it too."""
    try:
        case = service.cases.get(case_id, caller)
    except NotThere:
        raise NoSuchResult("there is no such case on this service") from None
    found = rows_of(service, caller, Filters(case_id=case.id), before=before, limit=ITEMS_SHOWN)
    may_audit = caller.role in AUDITORS
    return render(
        request,
        caller,
        "case.html",
        case=case,
        found=found,
        entries=service.cases.log(case.id, caller, limit=ENTRIES_SHOWN) if may_audit else [],
        may_change=caller.role in WRITERS,
        may_export=may_audit,
    )
