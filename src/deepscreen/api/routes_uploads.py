"""tus 1.0: a large file in as many requests as the line needs; with its last byte it becomes a screening.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0; core, creation, expiration and termination.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from contextlib import aclosing
from email.utils import formatdate
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from deepscreen.api.context import ServiceDep, Writer
from deepscreen.api.documented import CHUNK_BODY, TUS_HEADERS, documented
from deepscreen.api.http_errors import NoTusVersion, OffsetMismatch, WrongContentType, WrongParameter
from deepscreen.api.middleware import TUS_PATH, TUS_VERSION
from deepscreen.api.resumable import PartialUpload
from deepscreen.api.service import Service
from deepscreen.api.uploads import WRITE_PIECE_BYTES, chunks_of
from deepscreen.errors import EmptyMedia, MediaTooLarge
from deepscreen.store.keys import Caller

TUS_EXTENSIONS = "creation,expiration,termination"
CHUNK_TYPE = "application/offset+octet-stream"
MOST_METADATA = 4096
KNOWN_METADATA = frozenset({"filename", "filetype", "name", "type", "case_id"})  # clients add the others themselves

router = APIRouter(prefix=TUS_PATH, tags=["uploads"])
Version = Annotated[str, Header(alias="Tus-Resumable", description="`1.0.0`.")]
SCREENING_HEADER = {
    "Location": {"description": "The screening, once all bytes are here.", "schema": {"type": "string"}}
}
REFUSALS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)


def found_upload(upload_id: str, service: ServiceDep, caller: Writer) -> PartialUpload:
    """The caller's own upload."""
    return service.resumable.find(upload_id, caller.id)


Found = Annotated[PartialUpload, Depends(found_upload)]


@router.options(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="What of tus is spoken here",
    responses=documented(),
)
def read_capabilities(service: ServiceDep, _: Writer) -> Response:
    """Gives version, extensions and the largest file."""
    headers = {
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": TUS_EXTENSIONS,
        "Tus-Max-Size": str(service.settings.limits.max_bytes),
    }
    return _reply(HTTPStatus.NO_CONTENT, headers)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_class=Response,
    summary="Begin a resumable upload",
    responses={
        201: {"description": "Send its bytes to `Location`.", "headers": TUS_HEADERS},
        **documented(
            HTTPStatus.NOT_FOUND,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    },
)
def begin_upload(
    service: ServiceDep,
    caller: Writer,
    upload_length: Annotated[int, Header(ge=0, lt=2**63, description="Size of the whole file in bytes.")],
    tus_resumable: Version = "",
    upload_metadata: Annotated[
        str, Header(description="`filename` and `case_id`, values in base64.", max_length=MOST_METADATA)
    ] = "",
) -> Response:
    """Takes no bytes yet. Refused here is what would be refused after hours: too large, no space, no such case."""
    _check_version(tus_resumable)
    metadata = _metadata(upload_metadata)
    if upload_length == 0:
        raise EmptyMedia("the file holds zero bytes")
    if upload_length > service.settings.limits.max_bytes:
        raise MediaTooLarge(
            f"the file has more than {service.settings.limits.max_bytes} bytes, the most for this service"
        )
    service.method()
    service.check_case(metadata.get("case_id"), caller)
    service.check_queue()
    service.room.check(upload_length)
    upload = service.resumable.begin(
        caller.id,
        length_bytes=upload_length,
        filename=metadata.get("filename", metadata.get("name")),
        case_id=metadata.get("case_id"),
    )
    return _reply(HTTPStatus.CREATED, {"Location": f"/v1/uploads/{upload.id}", **_expiry(upload)})


@router.head(
    "/{upload_id}",
    response_class=Response,
    summary="How far an upload is",
    responses={
        200: {"description": "`Upload-Offset` bytes are here.", "headers": TUS_HEADERS | SCREENING_HEADER},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.LOCKED),
    },
)
async def read_offset(service: ServiceDep, caller: Writer, upload: Found, tus_resumable: Version = "") -> Response:
    """Gives the offset to go on from; for a whole upload the screening that it became."""
    _check_version(tus_resumable)
    with service.resumable.hold(upload) as held:
        return await asyncio.to_thread(_progress, service, caller, held, HTTPStatus.OK)


@router.patch(
    "/{upload_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Send bytes of an upload",
    openapi_extra=CHUNK_BODY,
    responses={
        204: {"description": "They are on the disk.", "headers": TUS_HEADERS | SCREENING_HEADER},
        **documented(
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.LOCKED,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    },
)
async def send_bytes(
    request: Request,
    service: ServiceDep,
    caller: Writer,
    upload: Found,
    upload_offset: Annotated[int, Header(ge=0, description="Where these bytes belong: what the last answer said.")],
    tus_resumable: Version = "",
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Keeps what arrives, also of a request that breaks off. With the last byte the screening is queued."""
    _check_version(tus_resumable)
    if content_type != CHUNK_TYPE:
        raise WrongContentType(f"content type is {content_type or 'none'}; send {CHUNK_TYPE}")
    with service.admission.place(), service.resumable.hold(upload) as held:
        offset = service.resumable.offset(held)
        if upload_offset != offset:
            raise OffsetMismatch(f"{offset} bytes are here, so Upload-Offset must be {offset}, not {upload_offset}")
        if held.screening_id is None:
            await _receive(request, service, held, most_bytes=held.length_bytes - offset)
        return await asyncio.to_thread(_progress, service, caller, held, HTTPStatus.NO_CONTENT)


@router.delete(
    "/{upload_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Give an upload up",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.LOCKED),
)
def end_upload(service: ServiceDep, _: Writer, upload: Found, tus_resumable: Version = "") -> Response:
    """Removes its bytes. A screening that it became stays."""
    _check_version(tus_resumable)
    service.resumable.remove(upload)
    return _reply(HTTPStatus.NO_CONTENT, {})


async def _receive(request: Request, service: Service, upload: PartialUpload, *, most_bytes: int) -> None:
    """Writes what arrives in pieces; what a client that leaves has sent is kept too."""
    too_many = MediaTooLarge(f"{most_bytes} bytes of this upload are missing, and more were sent")
    if int(request.headers.get("content-length", "0")) > most_bytes:
        raise too_many
    pending: list[bytes] = []
    pending_bytes = 0
    try:
        async with aclosing(chunks_of(request)) as chunks:
            async for chunk in chunks:
                most_bytes -= len(chunk)
                if most_bytes < 0:
                    raise too_many
                pending.append(chunk)
                pending_bytes += len(chunk)
                if pending_bytes >= WRITE_PIECE_BYTES:
                    # Taken out first: a piece that fails is not written again below.
                    pieces, pending, pending_bytes = pending, [], 0
                    await asyncio.to_thread(service.room.check_still)
                    await asyncio.to_thread(service.resumable.append, upload, pieces)
    finally:
        await asyncio.to_thread(service.resumable.append, upload, pending)
        await asyncio.to_thread(service.resumable.sync, upload)


def _progress(service: Service, caller: Caller, upload: PartialUpload, status: HTTPStatus) -> Response:
    """How far the upload is. A whole one becomes its screening, also where that was cut short before."""
    offset = service.resumable.offset(upload)
    if offset == upload.length_bytes and upload.screening_id is None:
        upload = service.submit_resumed(upload, caller)
    headers = {"Upload-Offset": str(offset), "Upload-Length": str(upload.length_bytes), **_expiry(upload)}
    if upload.filename is not None:
        headers["Upload-Metadata"] = "filename " + base64.b64encode(upload.filename.encode()).decode()
    if upload.screening_id is not None:
        headers["Location"] = f"/v1/screenings/{upload.screening_id}"
    return _reply(status, headers)


def _check_version(given: str) -> None:
    if given != TUS_VERSION:
        raise NoTusVersion(f"Tus-Resumable is {given or 'missing'}; this service speaks {TUS_VERSION}")


def _metadata(header: str) -> dict[str, str]:
    """Pairs of a key and a value in base64, by commas; raises WrongParameter for what is not known here."""
    found = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, encoded = pair.partition(" ")
        if key not in KNOWN_METADATA:
            raise WrongParameter(f"Upload-Metadata: {key!r} is not known here; want filename and case_id")
        try:
            found[key] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise WrongParameter(f"Upload-Metadata: the value of {key} is no UTF-8 text in base64") from error
        if "\0" in found[key]:
            raise WrongParameter(f"Upload-Metadata: the value of {key} has the character 0")
    return found


def _expiry(upload: PartialUpload) -> dict[str, str]:
    return {"Upload-Expires": formatdate(upload.expires_at, usegmt=True)}


def _reply(status: HTTPStatus, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers=headers)
