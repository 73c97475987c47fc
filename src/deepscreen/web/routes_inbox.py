"""The inbox: files come in here, and the list of all items with its filters; also the list of what awaits review."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from deepscreen.api.auth import WRITERS
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.store.screenings import Filters
from deepscreen.web.page import render
from deepscreen.web.rows import MOST_CASES, FiltersDep, as_rows, rows_of

MOST_ASKED_AGAIN = 100
router = APIRouter(include_in_schema=False)
Before = Annotated[str | None, Query(max_length=200)]


@router.get("/")
def inbox_page(request: Request, service: ServiceDep, caller: Anyone, filters: FiltersDep) -> Response:
    """The first page of the list, with the filters of the address; the script fetches more as it is scrolled."""
    return render(
        request,
        caller,
        "inbox.html",
        found=rows_of(service, caller, filters, before=None),
        filters=filters,
        query=request.query_params,
        cases=service.cases.seen_by(caller, limit=MOST_CASES),
        may_send=caller.role in WRITERS,
        max_bytes=service.settings.limits.max_bytes,
    )


@router.get("/inbox/rows")
def inbox_rows(
    request: Request, service: ServiceDep, caller: Anyone, filters: FiltersDep, before: Before = None
) -> Response:
    """Lines alone, and where the next ones begin."""
    return render(request, caller, "rows.html", found=rows_of(service, caller, filters, before=before))


@router.get("/inbox/again")
def inbox_rows_again(
    request: Request, service: ServiceDep, caller: Anyone, ids: Annotated[str, Query(alias="id", max_length=4000)] = ""
) -> Response:
    """The lines of these items as they stand now; ids by commas. Those that are not there any more are left out."""
    items = []
    for screening_id in ids.split(",")[:MOST_ASKED_AGAIN]:
        try:
            items.append(service.get(screening_id, caller))
        except NoSuchResult:
            continue
    return render(
        request, caller, "rows.html", found={"rows": as_rows(service, caller, items), "after": None}
    )  # fmt: skip


@router.get("/review")
def review_page(request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """What has a result that nobody has reviewed yet."""
    found = rows_of(service, caller, Filters(is_reviewed=False), before=None)
    return render(request, caller, "review.html", found=found)
