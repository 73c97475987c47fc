"""What belongs to a screening as files: record, evidence by name, and all of it, the original too, by content hash."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from deepscreen.api.blob_response import blob_response
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.documented import NOT_MODIFIED, PARTIAL, PNG_CONTENT, documented
from deepscreen.api.envelopes import evidence_of, record_of
from deepscreen.api.examples import example_screening
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.service import Service
from deepscreen.record import Screening
from deepscreen.store import acts
from deepscreen.store.screenings import Item

SHA256 = r"^[0-9a-f]{64}$"
RECORD_TYPE, PICTURE_TYPE, ANY_TYPE = "application/json", "image/png", "application/octet-stream"
THUMBNAIL_TYPE = "image/jpeg"
BINARY = {"schema": {"type": "string", "format": "binary"}}
# Types that a browser plays and never runs. What else an original says that it is, it is only saved.
PLAYED = re.compile(r"(?:audio|video)/[a-z0-9.+-]+|image/(?:jpeg|png|webp|gif|bmp|tiff|heic|heif|avif)")
EXAMPLE_RECORD = example_screening().model_dump(mode="json")
REFUSALS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)

router = APIRouter(prefix="/v1/screenings/{screening_id}", tags=["files"])


@router.get(
    "/record",
    summary="The record alone, as canonical JSON",
    response_class=Response,
    responses={
        200: {
            "description": "RFC 8785 canonical JSON: the bytes that are hashed and compared.",
            "content": {RECORD_TYPE: {"example": EXAMPLE_RECORD}},
        },
        206: PARTIAL,
        304: NOT_MODIFIED,
        **REFUSALS,
    },
)
def read_record(screening_id: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Gives the bytes that the library and the command line give for the same file under the same method."""
    item = service.get_done(screening_id, caller)
    service.log(caller, acts.RECORD_DOWNLOADED, item)
    return _reply(service, request, str(item.record_sha256), RECORD_TYPE)


@router.get(
    "/evidence/{name}",
    summary="A picture that the record names",
    response_class=Response,
    responses={
        200: {"description": "The picture; its sha256 is in the record.", "content": PNG_CONTENT},
        206: PARTIAL,
        304: NOT_MODIFIED,
        **REFUSALS,
    },
)
def read_evidence(screening_id: str, name: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Gives a heatmap, timeline or spectrogram, checked against the record before it is sent."""
    item = service.get_done(screening_id, caller)
    _, screening = record_of(item, service.store.blobs)
    entry = next((e for e in evidence_of(screening) if e.name == name), None)
    if entry is None:
        raise NoSuchResult("the record of this screening names no such evidence")
    service.log(caller, acts.EVIDENCE_DOWNLOADED, item, sha256=entry.sha256)
    return _reply(service, request, entry.sha256, PICTURE_TYPE)


@router.get(
    "/thumbnail",
    summary="A small picture of the item, for lists",
    response_class=Response,
    responses={200: {"description": "A JPEG of at most 256 px.", "content": {THUMBNAIL_TYPE: BINARY}}, **REFUSALS},
)
def read_thumbnail(screening_id: str, request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """Gives what a list shows; it is no evidence, and no entry of the audit log. Sound has none."""
    item = service.get_done(screening_id, caller)
    if item.thumbnail_sha256 is None:
        raise NoSuchResult("there is no small picture of this item")
    return _reply(service, request, item.thumbnail_sha256, THUMBNAIL_TYPE)


@router.get(
    "/files/{sha256}",
    summary="The original, the record or a picture, by its sha256",
    response_class=Response,
    responses={
        200: {
            "description": "Bytes of this sha256.",
            "content": {ANY_TYPE: BINARY},
        },
        206: PARTIAL,
        304: NOT_MODIFIED,
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, HTTPStatus.UNPROCESSABLE_ENTITY),
    },
)
def read_file(
    screening_id: str,
    sha256: Annotated[str, Path(pattern=SHA256)],
    request: Request,
    service: ServiceDep,
    caller: Anyone,
) -> Response:
    """Gives what belongs to this screening and has this hash, which is proven before a byte is sent."""
    item = service.get(screening_id, caller)
    screening = record_of(item, service.store.blobs)[1] if item.record_sha256 is not None else None
    if sha256 == item.media_sha256:
        service.log(caller, acts.ORIGINAL_DOWNLOADED, item, range=request.headers.get("range", "")[:100])
        return _reply(service, request, sha256, _original_type(screening), filename=_saved_name(item))
    if sha256 == item.record_sha256:
        service.log(caller, acts.RECORD_DOWNLOADED, item)
        return _reply(service, request, sha256, RECORD_TYPE)
    if screening is None or sha256 not in {e.sha256 for e in evidence_of(screening)}:
        raise NoSuchResult("this screening has no file of this hash")
    service.log(caller, acts.EVIDENCE_DOWNLOADED, item, sha256=sha256)
    return _reply(service, request, sha256, PICTURE_TYPE)


def _reply(
    service: Service, request: Request, sha256: str, media_type: str, *, filename: str | None = None
) -> Response:
    return blob_response(
        request,
        service.store.blobs,
        sha256,
        media_type,
        scratch=service.scratch,
        filename=filename,
        is_by_hash="sha256" in request.path_params,
    )


def _original_type(screening: Screening | None) -> str:
    mime = screening.media.mime if screening is not None else ANY_TYPE
    return mime if PLAYED.fullmatch(mime) else ANY_TYPE


def _saved_name(item: Item) -> str:
    """The sender's name, without what has a meaning in paths."""
    return re.sub(r"[^\w.-]+", "_", item.filename or "").strip("._") or item.media_sha256
