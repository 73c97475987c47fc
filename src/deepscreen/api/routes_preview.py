"""A picture or a frame in a form that every browser shows: to look at, and no evidence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from deepscreen.api.blob_response import IMMUTABLE
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.envelopes import record_of
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.routes_files import BINARY
from deepscreen.store import acts

PREVIEW_TYPE = "image/jpeg"
MOST_SECONDS = 1_000_000.0
SECONDS_HEADERS = {
    "Frame-Start-Seconds": {
        "description": "Of clips: when this frame comes on the screen.",
        "schema": {"type": "number"},
    },
    "Frame-End-Seconds": {
        "description": "Of clips: until then, at least, no other frame comes; a later request may tell a later time.",
        "schema": {"type": "number"},
    },
}
router = APIRouter(tags=["files"])


@router.get(
    "/v1/screenings/{screening_id}/preview",
    summary="A picture or a frame as JPEG, for browsers that cannot show its format",
    response_class=Response,
    responses={
        200: {"description": "A JPEG, upright.", "content": {PREVIEW_TYPE: BINARY}, "headers": SECONDS_HEADERS},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS),
    },
)
def read_preview(
    screening_id: str,
    service: ServiceDep,
    caller: Anyone,
    at: Annotated[
        float, Query(ge=0, le=MOST_SECONDS, description="Of clips: seconds from the first frame; the frame shown then.")
    ] = 0.0,
) -> Response:
    """Gives a picture scaled down to at most 24 megapixels, of a clip a frame of at most one. It is lossy, and no
    evidence: the original is. Whoever looks at frames is in the audit log once in an hour, not with each of them."""
    item = service.get_done(screening_id, caller)
    _, screening = record_of(item, service.store.blobs)
    media, headers = screening.media, {"Cache-Control": IMMUTABLE}
    if media.kind == "audio":
        raise NoSuchResult("there are pictures for images and clips only")
    if media.kind == "image":
        service.log(caller, acts.ORIGINAL_DOWNLOADED, item, preview=True)
        with service.admission.place():
            return Response(service.previews.picture(media), media_type=PREVIEW_TYPE, headers=headers)
    if service.looked.is_first(caller.id, item.id):
        service.log(caller, acts.ORIGINAL_DOWNLOADED, item, preview=True)
    frame = service.previews.kept_frame(media, at)
    if frame is None:
        with service.admission.place():
            frame = service.previews.frame(media, at)
    headers |= {
        "Frame-Start-Seconds": f"{frame.start_seconds:.6f}",
        "Frame-End-Seconds": f"{frame.end_seconds:.6f}",
    }
    return Response(frame.jpeg, media_type=PREVIEW_TYPE, headers=headers)
