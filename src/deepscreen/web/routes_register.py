"""The misuse register: its entries with a search, one entry with its revisions, and the ways out and in."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from deepscreen.api.auth import AUDITORS, OWNERS, REVIEWERS
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.paging import position_of, token_of
from deepscreen.api.routes_misuse import history_of, subject_of_screening
from deepscreen.api.wire import Text
from deepscreen.register.book import Filters
from deepscreen.register.entry import Misuse, Status, Tlp, ToolKind
from deepscreen.register.exchange import ExchangeFormat
from deepscreen.web.page import render

ENTRIES_SHOWN = 50
router = APIRouter(include_in_schema=False)


@router.get("/register")
def register_page(
    request: Request,
    service: ServiceDep,
    caller: Anyone,
    text: Annotated[Text, Query(max_length=200)] = "",
    tool_kind: ToolKind | Literal[""] = "",
    misuse: Misuse | Literal[""] = "",
    status: Status | Literal[""] = "",
    tlp: Tlp | Literal[""] = "",
    campaign: Annotated[Text, Query(max_length=36)] = "",
    like: Annotated[str, Query(pattern="^([0-9a-f]{32})?$")] = "",
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Entries, the newest first, with the filters of the address; empty means any."""
    filters = Filters(
        tool_kind=tool_kind or None,
        misuse=misuse or None,
        status=status or None,
        tlp=tlp or None,
        campaign=campaign or None,
        text=text or None,
        ids=service.register.like(subject_of_screening(service, like, caller)) if like else None,
    )
    found = service.register.page(caller, filters, limit=ENTRIES_SHOWN, before=position_of(before))
    return render(
        request,
        caller,
        "register.html",
        found=found,
        after=token_of(found[-1]) if len(found) == ENTRIES_SHOWN else None,
        query=request.query_params,
        address=request.url,
        formats=[value.value for value in ExchangeFormat],
        may_export=caller.role in AUDITORS,
        may_import=caller.role in OWNERS,
    )


@router.get("/register/{entry_id}")
def entry_page(entry_id: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """One entry, the copies of its file, and what stood in it before."""
    current, *earlier = history_of(service, entry_id, caller)
    copies = []
    if current.campaign is not None:
        found = service.register.page(caller, Filters(campaign=current.campaign), limit=ENTRIES_SHOWN)
        copies = [kept for kept in found if kept.id != current.id]
    return render(
        request,
        caller,
        "entry.html",
        kept=current,
        earlier=earlier,
        copies=copies,
        may_amend=caller.role in REVIEWERS,
    )
