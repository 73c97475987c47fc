"""Takes one file from a multipart body: written, hashed and counted while it arrives, never held as a whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from deepscreen.api.data_folder import told_of_uploads
from deepscreen.api.http_errors import MalformedUpload, UploadStalled, WrongContentType, WrongFields
from deepscreen.api.room import Promise
from deepscreen.errors import MediaTooLarge
from deepscreen.media.intake import Intake, intake_of_hashed
from deepscreen.settings import Limits

FIELD_NAME = "file"
FORM_OVERHEAD_BYTES = 64 * 1024  # boundaries and part headers around the file
WRITE_PIECE_BYTES = 1024 * 1024  # collected before a thread writes and hashes it
STALL_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file and the name that its sender gave it, which is shown and never used."""

    intake: Intake
    filename: str | None


async def receive_upload(request: Request, path: Path, *, limits: Limits, promise: Promise) -> Upload:
    """Receives the one part named ``file`` into *path*, which must not exist; the caller removes it in any case.

    Raises WrongContentType, MalformedUpload, WrongFields, UploadStalled, and MediaTooLarge as soon as the size is known
    or reached; StorageFull; starlette's ClientDisconnect when the client leaves.
    """
    part = _FilePart(_boundary(request))
    max_body_bytes = limits.max_bytes + FORM_OVERHEAD_BYTES
    if int(request.headers.get("content-length", "0")) > max_body_bytes:
        raise _too_large(limits)
    sink = HashingFile(path, promise)
    try:
        async with aclosing(chunks_of(request)) as chunks:
            async for pieces in _pieces(part, _bounded(chunks, max_body_bytes, limits)):
                if sink.size_bytes + sum(map(len, pieces)) > limits.max_bytes:
                    raise _too_large(limits)
                await asyncio.to_thread(sink.write, pieces)
    finally:
        sink.close()
    part.check_complete()
    return Upload(intake_of_hashed(path, sink.sha256(), sink.size_bytes, limits=limits), part.filename)


async def chunks_of(request: Request) -> AsyncGenerator[bytes, None]:
    """The chunks of the body, as long as they keep coming; raises UploadStalled, starlette's ClientDisconnect."""
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                async with asyncio.timeout(STALL_TIMEOUT_SECONDS):
                    chunk = await anext(stream, None)
            except TimeoutError as error:
                raise UploadStalled(f"no byte arrived for {STALL_TIMEOUT_SECONDS:.0f} s; send it again") from error
            if chunk is None:
                return
            yield chunk


async def _bounded(
    chunks: AsyncGenerator[bytes, None], max_body_bytes: int, limits: Limits
) -> AsyncGenerator[bytes, None]:
    """The *chunks*, as long as the whole body stays in bounds."""
    total_bytes = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            total_bytes += len(chunk)
            if total_bytes > max_body_bytes:
                raise _too_large(limits)
            yield chunk


async def _pieces(part: _FilePart, chunks: AsyncGenerator[bytes, None]) -> AsyncIterator[list[bytes]]:
    """The file's content in lists of about WRITE_PIECE_BYTES; the last one may be small."""
    async with aclosing(chunks):
        async for chunk in chunks:
            part.feed(chunk)
            if part.pending_bytes >= WRITE_PIECE_BYTES:
                yield part.take()
    yield part.take()


class HashingFile:
    """A new file that only its owner may read; hashed as it is written."""

    def __init__(self, path: Path, promise: Promise) -> None:
        self._promise = promise
        with told_of_uploads():
            path.touch(mode=0o600, exist_ok=False)
            self._file = path.open("wb", buffering=0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        self._promise.arrived(len(data))
        self._digest.update(data)
        view = memoryview(data)
        with told_of_uploads():
            while view:  # an unbuffered file may take less than it was given
                view = view[self._file.write(view) :]
        self.size_bytes += len(data)

    def close(self) -> None:
        self._file.close()

    def sha256(self) -> str:
        return self._digest.hexdigest()


class _FilePart:
    """A multipart parser that lets exactly one part pass, named ``file``, and keeps what arrived since ``take``."""

    def __init__(self, boundary: bytes) -> None:
        self.filename: str | None = None
        self.pending_bytes = 0
        self._pending: list[bytes] = []
        self._parts = 0
        self._is_complete = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        try:
            self._parser = self._build_parser(boundary)
        except FormParserError as error:
            raise MalformedUpload(f"the multipart boundary is wrong: {error}") from error

    def feed(self, chunk: bytes) -> None:
        """Parses the next chunk of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedUpload(f"the body is no valid multipart/form-data: {error}") from error

    def take(self) -> list[bytes]:
        """The content that arrived since the last call."""
        pieces, self._pending, self.pending_bytes = self._pending, [], 0
        return pieces

    def check_complete(self) -> None:
        """Raises where the body ended without its closing boundary or without a file."""
        if not self._is_complete:
            raise MalformedUpload("the body ended before its closing boundary; send the file again")
        if not self._parts:
            raise WrongFields(f"the form has no part; send one file in the field {FIELD_NAME!r}")

    def _build_parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def _on_part_begin(self) -> None:
        self._parts += 1
        self._disposition = b""
        if self._parts > 1:
            raise WrongFields(f"the form has more than one part; send one file, in the field {FIELD_NAME!r}")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD_NAME:
            raise WrongFields(f"the form has a field {name!r}; send one file, in the field {FIELD_NAME!r}, and no more")
        given = options.get(b"filename")
        self.filename = None if given is None else given.decode("utf-8", "replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._pending.append(data[start:end])
        self.pending_bytes += end - start

    def _on_end(self) -> None:
        self._is_complete = True


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        got = media_type.decode("latin-1") or "none"
        raise WrongContentType(f"content type is {got}; send multipart/form-data with the file in {FIELD_NAME!r}")
    if not options.get(b"boundary"):
        raise MalformedUpload("the content type names no boundary")
    return options[b"boundary"]


def _too_large(limits: Limits) -> MediaTooLarge:
    return MediaTooLarge(f"the file has more than {limits.max_bytes} bytes, the most that this service accepts")
