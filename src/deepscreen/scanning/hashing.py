"""Has small files hashed ahead of a scan, in a process of its own.

In the scan's process each would keep the other waiting, file by file, for Python's lock.
"""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain

from deepscreen.process import end_or_kill, python_path
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
    page = next(pages, [])
    if len(page) < PAGE_ROWS:  # too few to be worth a process
        for each in chain([page], pages):
            yield each, _by_way(each, hash_small(folder, each, max_bytes=max_bytes))
        return
    with closing(_HashingProcess(folder, max_bytes)) as process:
        process.ask(page)
        for following in pages:
            hashed = process.answer(page)  # before more is asked: answer and question could fill both pipes
            process.ask(following)
            yield page, hashed
            page = following
        yield page, process.answer(page)


class _HashingProcess:
    """Where it cannot be had, or has ended, it hashes nothing: the scan then reads each file on its own."""

    def __init__(self, folder: bytes, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                env={**os.environ, "PYTHONPATH": python_path()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C in the terminal is for the scan
            )
        except OSError as error:
            self._give_up(error)

    def ask(self, page: Sequence[Pending]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        parts = (self._folder, *chain.from_iterable((way, b"%d" % size) for way, size in page))
        body = SEPARATOR.join(parts)
        try:
            self._process.stdin.write(QUESTION.pack(self._max_bytes, len(body)) + body)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            self._give_up(error)

    def answer(self, page: Sequence[Pending]) -> Hashed:
        if self._process is None or self._process.stdout is None:
            return {}
        told = self._process.stdout.read(len(page) * DIGEST_BYTES)
        if len(told) < len(page) * DIGEST_BYTES:
            self._give_up(EOFError("it ended before its answer"))
            return {}
        digests = (told[at : at + DIGEST_BYTES] for at in range(0, len(told), DIGEST_BYTES))
        return _by_way(page, [None if digest == NOTHING else digest for digest in digests])

    def close(self) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # which it reads as the end
        end_or_kill(self._process, patience_seconds=CLOSE_WAIT_SECONDS)
        self._process.stdout.close()

    def _give_up(self, error: Exception) -> None:
        logger.warning("small files are read one by one, since the process that hashes them failed: %s", error)
        self.close()
        self._process = None


def _by_way(page: Sequence[Pending], digests: Sequence[bytes | None]) -> Hashed:
    return {file.way: digest.hex() for file, digest in zip(page, digests, strict=True) if digest is not None}


def main() -> None:
    """Hashes the pages that standard input names until it is closed."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := asked.read(QUESTION.size)) == QUESTION.size:
        max_bytes, length = QUESTION.unpack(head)
        if len(body := asked.read(length)) < length:
            return
        folder, *parts = body.split(SEPARATOR)
        files = [(way, int(size)) for way, size in zip(parts[::2], parts[1::2], strict=True)]
        digests = hash_small(folder, files, max_bytes=max_bytes)
        answers.write(b"".join(digest or NOTHING for digest in digests))
        answers.flush()


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # the scan was killed
        main()
