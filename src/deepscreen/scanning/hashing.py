"""Has small files hashed ahead of a scan, in a process of its own.

In the scan's process each would keep the other waiting, file by file, for Python's lock.
"""

from __future__ import annotations

import logging
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import IO

from deepscreen.scanning.journal import PAGE_ROWS, Pending
from deepscreen.scanning.small import hash_small

logger = logging.getLogger(__name__)

Hashed = dict[bytes, str]  # sha256 by way
QUESTION = struct.Struct("<QQ")  # largest file in bytes; length of what follows: folder, then way and size of each file
SEPARATOR = b"\0"  # no path can have it
DIGEST_BYTES = 32
NOTHING = bytes(DIGEST_BYTES)
CLOSE_WAIT_SECONDS = 5.0


def with_hashes(
    folder: bytes, pages: Iterator[list[Pending]], *, max_bytes: int
) -> Generator[tuple[list[Pending], Hashed]]:
    """Each page with what ``hash_small`` finds of it; while one is worked on, the next is hashed."""
    first = next(pages, [])
    if len(first) < PAGE_ROWS:  # too few to be worth a process
        for page in chain([first], pages):
            yield page, _by_way(page, hash_small(folder, page, max_bytes=max_bytes))
        return
    process = _HashingProcess(folder, max_bytes)
    try:
        process.ask(page := first)
        for following in pages:
            process.ask(following)
            yield page, process.answer(page)
            page = following
        yield page, process.answer(page)
    finally:
        process.close()


class _HashingProcess:
    """It is told a page at most before the page before was asked back: more could fill both pipes.

    Where it has ended, it hashes nothing: the scan then reads each file on its own.
    """

    def __init__(self, folder: bytes, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def ask(self, page: Sequence[Pending]) -> None:
        assert self._process.stdin
        parts = (self._folder, *chain.from_iterable((way, b"%d" % size) for way, size in page))
        body = SEPARATOR.join(parts)
        try:
            self._process.stdin.write(QUESTION.pack(self._max_bytes, len(body)) + body)
        except BrokenPipeError:
            logger.warning("the process that hashes small files has ended; each is read on its own")

    def answer(self, page: Sequence[Pending]) -> Hashed:
        assert self._process.stdout
        told = _read(self._process.stdout, len(page) * DIGEST_BYTES) or b""
        digests = (told[at : at + DIGEST_BYTES] for at in range(0, len(told), DIGEST_BYTES))
        return _by_way(page, [None if digest == NOTHING else digest for digest in digests])

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()  # which it reads as the end
        try:
            self._process.wait(CLOSE_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _by_way(page: Sequence[Pending], digests: Sequence[bytes | None]) -> Hashed:
    return {file.way: digest.hex() for file, digest in zip(page, digests, strict=False) if digest is not None}


def _read(file: IO[bytes], size_bytes: int) -> bytes | None:
    """So many bytes; None where there are no more."""
    parts = bytearray()
    while len(parts) < size_bytes:
        part = file.read(size_bytes - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def main() -> None:
    """Hashes the pages that standard input names until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the scan
    asked, answers = os.fdopen(0, "rb", buffering=0), os.fdopen(1, "wb", buffering=0)
    while (head := _read(asked, QUESTION.size)) is not None:
        max_bytes, length = QUESTION.unpack(head)
        folder, *parts = (_read(asked, length) or b"").split(SEPARATOR)
        files = [(way, int(size)) for way, size in zip(parts[::2], parts[1::2], strict=True)]
        digests = hash_small(folder, files, max_bytes=max_bytes)
        answers.write(b"".join(digest or NOTHING for digest in digests))


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the scan was killed
        main()
