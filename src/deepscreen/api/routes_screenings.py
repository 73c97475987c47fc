"""Screenings: asked for, listed, read, cancelled, tried again, deleted; their records and evidence."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from deepscreen.api.context import Anyone, Owner, Reviewer, ServiceDep, Writer
from deepscreen.api.documented import (
    LOCATION_HEADER,
    UPLOAD_BODY,
    documented,
    documented_envelope,
)
from deepscreen.api.envelopes import envelope, path_of, summary
from deepscreen.api.examples import EXAMPLE_ID
from deepscreen.api.http_errors import (
    NoSuchResult,
    ResultFinal,
    RoleForbidden,
    problem_of_failure,
    problem_response,
)
from deepscreen.api.paging import position_of, token_of
from deepscreen.api.service import Service
from deepscreen.api.wire import DeletionCertificate, NearDuplicates, ReviewRequest, ScreeningEnvelope, ScreeningPage
from deepscreen.record import Verdict
from deepscreen.store import acts, audit
from deepscreen.store.computations import State
from deepscreen.store.duplicates import near_duplicates
from deepscreen.store.keys import Caller
from deepscreen.store.reviews import AlreadyReviewed, OwnWork, review
from deepscreen.store.screenings import Filters, Item

WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})\b")
MOST_PER_PAGE = 200
ID, SHA256 = r"^[0-9a-f]{32}$", r"^[0-9a-f]{64}$"

EVENTS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": f'event: state\ndata: {{"id": "{EXAMPLE_ID}", "state": "done"}}\n\n',
    }
}

router = APIRouter(tags=["screenings"])


@router.post(
    "/v1/screenings",
    status_code=HTTPStatus.CREATED,
    summary="Screen one file",
    response_model=ScreeningEnvelope,
    openapi_extra=UPLOAD_BODY,
    responses={
        201: {**documented_envelope("The file was screened."), "headers": LOCATION_HEADER},
        202: {
            "model": ScreeningEnvelope,
            "description": "It is queued or runs; see `Location`.",
            "headers": LOCATION_HEADER,
        },
        **documented(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    },
)
async def create_screening(
    request: Request,
    response: Response,
    service: ServiceDep,
    caller: Writer,
    case_id: Annotated[str | None, Query(description="The case that it shall belong to.", pattern=ID)] = None,
    prefer: Annotated[str, Header(description="`wait=N`: seconds to wait; `respond-async`: do not.")] = "",
    idempotency_key: Annotated[
        str | None, Header(description="Sent again with the same file, it gives the same screening.", max_length=200)
    ] = None,
) -> Any:
    """Takes one image, video or sound file in the form field `file`, and answers with the result when it is there.

    It waits as long as `Prefer` says, or the service allows; then the answer is 202 and `Location` names where the
    result will be. A file that cannot be screened is answered with the reason, and the failed screening is kept.
    """
    with service.admission.place():
        item = await service.submit(request, caller, case_id=case_id, key=idempotency_key)
        seconds = _wait_seconds(prefer, most=service.settings.wait_seconds)
        item = await service.wait_for_end(item, caller, request, seconds=seconds)
    headers = {"Location": path_of(item)}
    if item.state is State.FAILED:
        problem = problem_of_failure(item.error_type, item.error_message, request.state.request_id)
        return problem_response(problem, headers)
    response.headers.update(headers)
    if item.state in {State.QUEUED, State.RUNNING}:
        response.status_code = HTTPStatus.ACCEPTED
    return await asyncio.to_thread(envelope, item, service.store)


@router.get("/v1/screenings", summary="A list of screenings, the newest first", responses=documented())
def list_screenings(
    service: ServiceDep,
    caller: Anyone,
    case_id: Annotated[str | None, Query(pattern=ID)] = None,
    media_sha256: Annotated[str | None, Query(pattern=SHA256)] = None,
    kind: Annotated[Literal["image", "video", "audio"] | None, Query()] = None,
    verdict: Annotated[Verdict | None, Query()] = None,
    filename: Annotated[str | None, Query(description="A part of the name.", max_length=200)] = None,
    state: Annotated[State | None, Query()] = None,
    reviewed: Annotated[bool | None, Query(description="false: results that nobody has reviewed yet.")] = None,
    before: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 50,
) -> ScreeningPage:
    """Gives what the caller may see: an examiner its own and those of its cases, other roles all."""
    filters = Filters(
        case_id=case_id, media_sha256=media_sha256, kind=kind, verdict=verdict, filename=filename, state=state,
        is_reviewed=reviewed,
    )  # fmt: skip
    items = service.screenings.page(caller, filters, limit=limit, before=position_of(before))
    after = token_of(items[-1]) if len(items) == limit else None
    return ScreeningPage(items=tuple(summary(item) for item in items), next=after)


@router.get(
    "/v1/screenings/{screening_id}",
    summary="A screening, in its envelope",
    responses={200: documented_envelope("The screening as it stands."), **documented(HTTPStatus.NOT_FOUND)},
)
def read_screening(screening_id: str, service: ServiceDep, caller: Anyone) -> ScreeningEnvelope:
    """Gives its state, and once it is done the same body as the request that made it."""
    item = service.get(screening_id, caller)
    if item.record_sha256 is not None:
        service.log(caller, acts.SCREENING_VIEWED, item)
    return envelope(item, service.store)


@router.delete(
    "/v1/screenings/{screening_id}", summary="Delete a screening", responses=documented(HTTPStatus.NOT_FOUND)
)
def delete_screening(
    screening_id: str,
    service: ServiceDep,
    caller: Owner,
    reason: Annotated[str, Query(description="Why; it is kept in the audit log.", max_length=1000)] = "",
) -> DeletionCertificate:
    """Removes it for good. The original and the results go with the last screening that refers to them."""
    service.get(screening_id, caller)
    entry, is_gone = service.screenings.delete(screening_id, caller, reason=reason)
    return DeletionCertificate(
        screening_id=screening_id,
        original_removed=is_gone,
        audit_entry=entry,
        audit_entry_sha256=audit.sha256_of(entry),
    )


@router.post(
    "/v1/screenings/{screening_id}/cancel",
    summary="Take a screening back",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def cancel_screening(screening_id: str, service: ServiceDep, caller: Writer) -> ScreeningEnvelope:
    """Has no effect on one that has ended."""
    service.get(screening_id, caller)
    return envelope(service.screenings.cancel(screening_id, caller), service.store)


@router.post(
    "/v1/screenings/{screening_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    summary="Screen the same file again",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
def retry_screening(screening_id: str, service: ServiceDep, caller: Writer) -> ScreeningEnvelope:
    """Makes a new attempt, under the method of today; has no effect on one that has not ended."""
    service.get(screening_id, caller)
    item = service.screenings.retry(screening_id, caller, method_digest=service.method().method_digest)
    service.wake()
    return envelope(item, service.store)


@router.post(
    "/v1/screenings/{screening_id}/review",
    status_code=HTTPStatus.CREATED,
    summary="Accept or override a result, which makes it final",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def review_screening(
    screening_id: str, service: ServiceDep, caller: Reviewer, wanted: Annotated[ReviewRequest, Body()]
) -> ScreeningEnvelope:
    """Two persons: whoever sent the file cannot review it. The record stays as it is; the review stands beside it."""
    item = service.get_done(screening_id, caller)
    verdict = wanted.verdict or Verdict(str(item.verdict))
    try:
        review(service.store.database, item, caller, decision=wanted.decision, verdict=verdict, reason=wanted.reason)
    except OwnWork:
        raise RoleForbidden("who sent a file cannot review its result; it takes a second person") from None
    except AlreadyReviewed:
        raise ResultFinal("this result was reviewed; it is final") from None
    return envelope(item, service.store)


@router.get(
    "/v1/screenings/{screening_id}/near-duplicates",
    summary="Copies of its file in the same case",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def read_near_duplicates(screening_id: str, service: ServiceDep, caller: Anyone) -> NearDuplicates:
    """Finds what was re-encoded, scaled or lightly changed. A screening of no case is compared with those of its sender
    that belong to none; nothing of other cases is told. That it is a copy says nothing of whether it is authentic."""
    cluster = near_duplicates(service.store.database, service.get_done(screening_id, caller), caller)
    return NearDuplicates.model_validate(
        {
            "items": [{"screening": summary(found.item), "kinds": found.kinds} for found in cluster.others],
            "compared": cluster.kinds_compared,
            "is_whole": cluster.is_whole,
        }
    )


@router.get(
    "/v1/screenings/{screening_id}/events",
    summary="State changes as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events named `state`.", "content": EVENTS}, **documented(HTTPStatus.NOT_FOUND)},
)
async def read_events(screening_id: str, service: ServiceDep, caller: Anyone) -> StreamingResponse:
    """Sends an event `state` with id and state at once and at each change, and ends with the screening."""
    first = await asyncio.to_thread(service.get, screening_id, caller)
    return StreamingResponse(_events(service, caller, first), media_type="text/event-stream")


async def _events(service: Service, caller: Caller, item: Item) -> AsyncIterator[str]:
    told: State | None = None
    while True:
        if item.state is not told:
            told = item.state
            yield f"event: state\ndata: {json.dumps({'id': item.id, 'state': told.value})}\n\n"
        if told not in {State.QUEUED, State.RUNNING}:
            return
        try:
            item = await service.next_state(item, caller)
        except NoSuchResult:  # deleted meanwhile: there is nothing more to tell
            return
        if item.state is told:
            yield ": still\n\n"  # a comment: keeps proxies from closing the connection, and notices a client that left


def _wait_seconds(prefer: str, *, most: float) -> float:
    """How long to wait by RFC 7240: ``wait=N``; none of it with ``respond-async`` alone; else as long as is allowed."""
    match = WAIT.search(prefer.lower())
    if match is not None:
        return min(float(match[1]), most)
    return 0.0 if "respond-async" in prefer.lower() else most
