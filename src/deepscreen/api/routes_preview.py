"""A picture in a form that every browser shows, decoded anew in the sandbox each time that it is asked for."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from deepscreen.api.blob_response import IMMUTABLE
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.envelopes import record_of
from deepscreen.api.http_errors import NoSuchResult, ResultDamaged
from deepscreen.api.routes_files import BINARY
from deepscreen.api.service import Service
from deepscreen.errors import BlobDamaged
from deepscreen.evidence.png import encode_jpeg
from deepscreen.evidence.resize import fit
from deepscreen.media.intake import intake_of_hashed
from deepscreen.media.sandbox import Decoder
from deepscreen.record import Media
from deepscreen.store import acts

PREVIEW_TYPE = "image/jpeg"
MAX_PIXELS, MAX_SIDE_PX = 24_000_000, 16_000
QUALITY = 92
router = APIRouter(tags=["files"])


@router.get(
    "/v1/screenings/{screening_id}/preview",
    summary="A picture as JPEG, for browsers that cannot show its format",
    response_class=Response,
    responses={
        200: {"description": "A JPEG, upright.", "content": {PREVIEW_TYPE: BINARY}},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS),
    },
)
def read_preview(screening_id: str, service: ServiceDep, caller: Anyone) -> Response:
    """Gives the picture scaled down to at most 24 megapixels. It is lossy, and no evidence: the original is."""
    item = service.get_done(screening_id, caller)
    _, screening = record_of(item, service.store.blobs)
    if screening.media.kind != "image":
        raise NoSuchResult("there is a picture for images only")
    service.log(caller, acts.ORIGINAL_DOWNLOADED, item, preview=True)
    with service.admission.place():
        content = _preview(service, screening.media)
    return Response(content, media_type=PREVIEW_TYPE, headers={"Cache-Control": IMMUTABLE})


def _preview(service: Service, media: Media) -> bytes:
    limits, blobs = service.settings.limits, service.store.blobs
    try:
        with blobs.as_file(media.sha256, service.scratch) as path, Decoder(limits) as decoder:
            intake = intake_of_hashed(path, media.sha256, media.size_bytes, limits=limits)
            still = decoder.examine(intake).still
    except BlobDamaged as error:
        raise ResultDamaged(f"{error}") from error
    if still is None:
        raise NoSuchResult("the file holds no picture any more that can be shown")
    small = fit(still.pixels, max_pixels=MAX_PIXELS, max_side_px=MAX_SIDE_PX)
    return encode_jpeg(small.pixels, quality=QUALITY)
