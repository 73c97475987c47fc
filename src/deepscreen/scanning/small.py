"""Small files of the folder, hashed many at a time: a folder may hold a hundred thousand, most of them copies.

Only what was met before is decided by this. All else is taken in again when its turn has come, so that what is decoded
is what was hashed a moment ago.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from deepscreen.errors import MediaError
from deepscreen.media.containers.kinds import HEAD_BYTES, container_kind
from deepscreen.media.intake import open_regular
from deepscreen.scanning.journal import Pending

SMALL_BYTES = 256 * 1024  # a page of these fits into the system's cache until their turn has come
READERS = 4  # a disk gives more to several at once


def with_hashes(
    folder: bytes, pages: Iterator[list[Pending]], *, max_bytes: int
) -> Generator[tuple[list[Pending], dict[bytes, str]]]:
    """Each page with what ``hash_small`` finds of it; while one is worked on, the next is read."""
    with ThreadPoolExecutor(READERS, "hashing") as readers:

        def begun(page: list[Pending]) -> list[Future[dict[bytes, str]]]:
            size = -(-len(page) // READERS)
            parts = [page[at : at + size] for at in range(0, len(page), size)]
            return [readers.submit(hash_small, folder, part, max_bytes=max_bytes) for part in parts]

        ahead: deque[tuple[list[Pending], list[Future[dict[bytes, str]]]]] = deque()
        for page in pages:
            ahead.append((page, begun(page)))
            if len(ahead) > 1:
                yield _gathered(*ahead.popleft())
        while ahead:
            yield _gathered(*ahead.popleft())


def _gathered(page: list[Pending], parts: list[Future[dict[bytes, str]]]) -> tuple[list[Pending], dict[bytes, str]]:
    return page, {way: sha256 for part in parts for way, sha256 in part.result().items()}


def hash_small(folder: bytes, files: Iterable[Pending], *, max_bytes: int) -> dict[bytes, str]:
    """By way, the sha256 of the small ones; without containers, unreadable ones and those that have changed.

    ``max_bytes``: the largest file that is screened.
    """
    most = min(SMALL_BYTES, max_bytes)
    found = {}
    for way, listed_bytes in files:
        if 0 < listed_bytes <= most and (sha256 := _hashed(folder + b"/" + way, listed_bytes)) is not None:
            found[way] = sha256
    return found


def _hashed(path: bytes, size_bytes: int) -> str | None:
    try:
        descriptor = open_regular(path)
    except MediaError:
        return None  # told when its turn has come
    try:
        content = os.read(descriptor, size_bytes + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(content) != size_bytes or container_kind(content[:HEAD_BYTES]) is not None:
        return None
    return hashlib.sha256(content).hexdigest()
