"""Methods side by side, for admins: what a change would change, before it is made, and what to screen again after."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from deepscreen.api.context import Owner, ServiceDep
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.service import Service
from deepscreen.errors import DeepscreenError
from deepscreen.store.comparison import compare, known_methods
from deepscreen.store.methods import stale
from deepscreen.web.method_view import Choice, choices, methods_view, place, told
from deepscreen.web.page import render

STALE_SHOWN = 100
TRIAL_FILES = 200
router = APIRouter(include_in_schema=False)
Digest = Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")]


@router.get("/service/methods")
def methods_page(
    request: Request, service: ServiceDep, caller: Owner, one: Digest = None, other: Digest = None
) -> Response:
    """All methods, and two of them compared. Unless asked otherwise: today's against one that a worker has and that is
    not at work yet, or else the one that screened most against today's.
    """
    todays = _todays(service)
    known = choices(known_methods(service.store.database), todays)
    view = None
    if len(known) > 1:
        first, second = (_named(known, one), _named(known, other)) if one and other else _usual(known)
        view = methods_view(first, second, compare(service.store.database, first.method.digest, second.method.digest))
    old = stale(service.store.database, todays) if todays else []
    return render(
        request, caller, "methods.html", known=known, view=view, stale=old[:STALE_SHOWN], stale_count=len(old),
        trial_files=TRIAL_FILES, place=place, told=told, settings=service.settings,
    )  # fmt: skip


def _usual(known: list[Choice]) -> tuple[Choice, Choice]:
    todays, *others = known
    candidate = next((choice for choice in others if choice.method.live_workers), None)
    if candidate is not None:
        return todays, candidate
    return max(others, key=lambda choice: choice.method.screened), todays


def _named(known: list[Choice], digest: str) -> Choice:
    for choice in known:
        if choice.method.digest == digest:
            return choice
    raise NoSuchResult("there is no method with this digest on this service")


def _todays(service: Service) -> str | None:
    try:
        return service.method().method_digest
    except DeepscreenError:  # it is not known yet, or was not loaded: the page of the service says why
        return None
