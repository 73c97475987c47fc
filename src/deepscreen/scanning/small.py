"""Small files of the folder, hashed many at a time: a folder may hold a hundred thousand, most of them copies.

Only what was met before is decided by this. All else is taken in again when its turn has come, so that what is decoded
is what was hashed a moment ago.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deepscreen.errors import MediaError
from deepscreen.media.containers.kinds import HEAD_BYTES, container_kind
from deepscreen.media.intake import open_regular

SMALL_BYTES = 256 * 1024  # a page of these fits into the system's cache until their turn has come
READERS = 4  # a disk gives more to several at once
AT_ONCE = getattr(os, "RWF_NOWAIT", 0)  # only what is in the system's cache; where Linux knows it


def hash_small(folder: bytes, files: Sequence[tuple[bytes, int]], *, max_bytes: int) -> list[bytes | None]:
    """The sha256 of each that is small; None for containers, what cannot be read and what has changed.

    ``files``: their ways and listed sizes in bytes. ``max_bytes``: the largest file that is screened.
    """
    most = min(SMALL_BYTES, max_bytes)
    small = [number for number, (_, size_bytes) in enumerate(files) if 0 < size_bytes <= most]

    def hashed(number: int, how: int) -> bytes | None:
        way, size_bytes = files[number]
        return _hashed(folder + b"/" + way, size_bytes, how)

    found: list[bytes | None] = [None] * len(files)
    for number in small:  # what is in the cache is read by one thread: several would wait for each other
        found[number] = hashed(number, AT_ONCE)
    missing = [number for number in small if found[number] is None]
    if missing:  # several wait for the disk
        with ThreadPoolExecutor(READERS, "hashing") as readers:
            for number, sha256 in zip(missing, readers.map(partial(hashed, how=0), missing), strict=True):
                found[number] = sha256
    return found


def _hashed(path: bytes, size_bytes: int, how: int) -> bytes | None:
    try:
        descriptor = open_regular(path)
    except MediaError:
        return None  # told when its turn has come
    content = bytearray(size_bytes + 1)
    try:
        read_bytes = os.preadv(descriptor, [content], 0, how)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if read_bytes != size_bytes:
        return None
    del content[size_bytes:]
    if container_kind(bytes(content[:HEAD_BYTES])) is not None:
        return None
    return hashlib.sha256(content).digest()
