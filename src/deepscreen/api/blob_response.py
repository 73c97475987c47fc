"""A blob as a response: proven before the first byte is sent, as a whole or a range; clients may keep it."""

from __future__ import annotations

import re
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from deepscreen.api.http_errors import RangeOutside, ResultDamaged
from deepscreen.errors import BlobDamaged
from deepscreen.store.blobs import BlobStore

# An address that names the hash always gives the same bytes: a client may keep them, but not share them. What a name
# stands for is another after a retry: a client may keep it, and asks each time whether it still holds.
IMMUTABLE, ASKED_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"
RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{1,18})?|-(?P<suffix>\d{1,18}))")


def blob_response(
    request: Request,
    blobs: BlobStore,
    sha256: str,
    media_type: str,
    *,
    scratch: Path,
    filename: str | None = None,
    is_by_hash: bool = False,
) -> Response:
    """The blob, or the one range of it that is asked for; 304 where the client has it.

    With a *filename* browsers save it and do not show it. *is_by_hash*: the address itself names the hash.
    Raises ResultDamaged where it is gone or was changed, and RangeOutside. A range that is malformed, or one of
    several, is not looked at: the answer is the whole blob then.
    """
    headers = {"ETag": f'"{sha256}"', "Cache-Control": IMMUTABLE if is_by_hash else ASKED_AGAIN}
    if sha256 in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    with ExitStack() as opened:
        try:
            path = opened.enter_context(blobs.as_file(sha256, scratch))
        except BlobDamaged as error:
            raise ResultDamaged(f"{error}") from error
        is_range = _is_range(request.headers.get("range"), path.stat().st_size)
        return _BlobResponse(path, opened.pop_all(), is_range, headers, media_type, filename)


class _BlobResponse(FileResponse):
    """Sends the file, then lets go of it."""

    def __init__(
        self,
        path: Path,
        opened: ExitStack,
        is_range: bool,
        headers: dict[str, str],
        media_type: str,
        filename: str | None,
    ) -> None:
        super().__init__(path, headers=headers, media_type=media_type, filename=filename, stat_result=path.stat())
        del self.headers["last-modified"]  # of the copy, and nobody's business; the ETag is the content's hash
        self._opened, self._is_range = opened, is_range

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_range:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0].lower() != b"range"]}
        with self._opened:
            await super().__call__(scope, receive, send)

    def _should_use_range(self, http_if_range: str) -> bool:
        return http_if_range == self.headers["etag"]


def _is_range(header: str | None, size_bytes: int) -> bool:
    """Whether one range is asked for; raises RangeOutside where it begins behind the end."""
    match = RANGE.fullmatch(header.replace(" ", "").lower()) if header else None
    if match is None:
        return False
    first = int(match["first"]) if match["first"] else 0
    if match["first"] and match["last"] and int(match["last"]) < first:
        return False
    if first >= size_bytes or match["suffix"] == "0":
        raise RangeOutside(f"the range lies outside of the {size_bytes} bytes", size_bytes=size_bytes)
    return True
