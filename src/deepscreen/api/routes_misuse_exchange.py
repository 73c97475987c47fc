"""The misuse register out, for auditors and admins, and in, for admins: STIX 2.1, MISP, CSV, under TLP marks."""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from deepscreen.api.context import Auditor, Owner, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.http_errors import NoSuchResult
from deepscreen.api.uploads import chunks_of
from deepscreen.api.wire_misuse import MisuseImported, Origin
from deepscreen.errors import MediaTooLarge
from deepscreen.register.entry import UUID4, Tlp
from deepscreen.register.exchange import MAX_IMPORT_BYTES, MEDIA_TYPES, SUFFIXES, ExchangeFormat, read
from deepscreen.store.screenings import NotThere

MOST_IDS = 500
TEXT = {"schema": {"type": "string", "format": "binary"}}
FORMATS: dict[str, Any] = {
    MEDIA_TYPES[ExchangeFormat.STIX]: {"schema": {"type": "object"}},
    MEDIA_TYPES[ExchangeFormat.MISP]: {"schema": {"type": "object"}, "example": {"response": []}},
    MEDIA_TYPES[ExchangeFormat.CSV]: TEXT,
}
IMPORT_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/octet-stream": TEXT}}}
LEFT_OUT = {"X-Left-Out": {"description": "Entries that stay, because of their marks.", "schema": {"type": "integer"}}}
router = APIRouter(prefix="/v1/misuse", tags=["misuse register"])


@router.get(
    "/export",
    summary="The register for others",
    response_class=Response,
    responses={
        200: {"description": "A file.", "content": FORMATS, "headers": LEFT_OUT},
        **documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    },
)
def export_misuse(
    service: ServiceDep,
    caller: Auditor,
    tlp: Annotated[Tlp, Query(description="What those may see who get it: nothing that is marked higher goes out.")],
    file_format: Annotated[ExchangeFormat, Query(alias="format")],
    entry: Annotated[
        tuple[Annotated[str, Query(pattern=UUID4)], ...], Query(max_length=MOST_IDS, description="Ids; none: all.")
    ] = (),
) -> Response:
    """Gives all entries that may go that far, or those that are named; 422 where one that is named may not. Entries
    that others gave under AMBER+STRICT or RED are not handed on."""
    try:
        shared = service.register.share(caller, tlp=tlp, file_format=file_format.value, ids=entry)
    except NotThere:
        raise NoSuchResult("there is no entry with one of these ids") from None
    name = f"misuse-tlp-{tlp.value.replace('+', '-')}.{SUFFIXES[file_format]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Left-Out": str(shared.left_out)}
    return Response(shared.content, media_type=MEDIA_TYPES[file_format], headers=headers)


@router.post(
    "/import",
    summary="Take in the register of others",
    openapi_extra=IMPORT_BODY,
    responses=documented(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def import_misuse(
    request: Request,
    service: ServiceDep,
    caller: Owner,
    file_format: Annotated[ExchangeFormat, Query(alias="format")],
    origin: Annotated[Origin, Query(description="Who gave it. Only the same origin can amend its entries.")],
) -> MisuseImported:
    """Takes all in or nothing. What is this service's own, or of another origin, is never changed by it."""
    content = await _body_of(request)
    entries = await asyncio.to_thread(read, content, file_format)
    digest = hashlib.sha256(content).hexdigest()
    taken = await asyncio.to_thread(service.register.take_in, caller, entries, origin=origin, file_sha256=digest)
    return MisuseImported(added=taken.added, amended=taken.amended, known=taken.known, refused=taken.refused)


async def _body_of(request: Request) -> bytes:
    too_large = MediaTooLarge(f"more than {MAX_IMPORT_BYTES} bytes; export fewer entries at a time")
    if int(request.headers.get("content-length", "0")) > MAX_IMPORT_BYTES:
        raise too_large
    content = bytearray()
    async for chunk in chunks_of(request):
        content += chunk
        if len(content) > MAX_IMPORT_BYTES:
            raise too_large
    return bytes(content)
