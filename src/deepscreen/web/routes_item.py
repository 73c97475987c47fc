"""The page of one item."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deepscreen.api.auth import OWNERS, REVIEWERS, WRITERS
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.envelopes import failure, record_of
from deepscreen.record import Verdict
from deepscreen.register.book import Filters
from deepscreen.store import acts
from deepscreen.store.duplicates import near_duplicates
from deepscreen.web.item_view import item_view, legend
from deepscreen.web.page import language_for, render
from deepscreen.web.rows import as_rows
from deepscreen.web.words import ALIKE_WORDS

MISUSE_SHOWN = 20
router = APIRouter(include_in_schema=False)


@router.get("/items/{screening_id}")
def item_page(screening_id: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Everything that is known of an item; looking at a result is an entry of the audit log, as through the API."""
    item = service.get(screening_id, caller)
    view = None
    if item.record_sha256 is not None:
        _, screening = record_of(item, service.store.blobs)
        service.log(caller, acts.SCREENING_VIEWED, item)
        view = item_view(item, screening, language_for(request))
    (row,) = as_rows(service, caller, [item])
    return render(
        request,
        caller,
        "item.html",
        row=row,
        item=item,
        view=view,
        failure=failure(item),
        legend=legend(),
        verdicts=[verdict.value for verdict in Verdict],
        may_send=caller.role in WRITERS,
        may_review=caller.role in REVIEWERS and item.created_by != caller.id,
        may_delete=caller.role in OWNERS,
        misuse=service.register.page(caller, Filters(media_sha256=item.media_sha256), limit=MISUSE_SHOWN),
    )


@router.get("/items/{screening_id}/near")
def near_part(screening_id: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Near-duplicates of an item, which its page puts in when it is there: many may have to be compared."""
    item = service.get_done(screening_id, caller)
    cluster = near_duplicates(service.store.database, item, caller)
    rows = as_rows(service, caller, [found.item for found in cluster.others])
    found = list(zip(rows, (found.kinds for found in cluster.others), strict=True))
    return render(request, caller, "near.html", item=item, cluster=cluster, found=found, alike_words=ALIKE_WORDS)
