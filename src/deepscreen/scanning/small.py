"""Small files of the folder, hashed many at a time: a folder may hold a hundred thousand, most of them copies.

Only what was met before is decided by this. All else is taken in again when its turn has come, so that what is decoded
is what was hashed a moment ago.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from deepscreen.errors import MediaError
from deepscreen.media.containers.kinds import HEAD_BYTES, container_kind
from deepscreen.media.intake import open_regular
from deepscreen.scanning.journal import Pending

SMALL_BYTES = 256 * 1024  # a page of these fits into the system's cache until their turn has come


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
