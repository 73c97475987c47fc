"""Two items side by side, in one zoom or one clock."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.envelopes import record_of
from deepscreen.store import acts
from deepscreen.store.duplicates import kinds_alike
from deepscreen.web.item_view import item_view, legend
from deepscreen.web.page import language_for, render
from deepscreen.web.rows import as_rows
from deepscreen.web.words import ALIKE_WORDS

router = APIRouter(include_in_schema=False)


@router.get("/items/{screening_id}/compare/{other_id}")
def compare_page(
    screening_id: str, other_id: str, request: Request, service: ServiceDep, caller: Anyone
) -> Response:  # fmt: skip
    """Both must have a result."""
    items = [service.get_done(name, caller) for name in (screening_id, other_id)]
    views = []
    for item in items:
        _, screening = record_of(item, service.store.blobs)
        service.log(caller, acts.SCREENING_VIEWED, item)
        views.append(item_view(item, screening, language_for(request)))
    rows = as_rows(service, caller, items)
    return render(
        request,
        caller,
        "compare.html",
        sides=list(zip(rows, views, strict=True)),
        legend=legend(),
        alike=[ALIKE_WORDS[kind] for kind in kinds_alike(service.store.database, *items)],
        is_same=items[0].media_sha256 == items[1].media_sha256,
    )
