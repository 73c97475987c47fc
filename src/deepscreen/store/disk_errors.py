"""What an operating system says of a full or absent disk, told as errors of the store."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from deepscreen.errors import StorageFull, StoreUnavailable

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def told_as_store_errors(*, full: str, refused: str) -> Iterator[None]:
    """Raises StorageFull, its text begun with *full*, for an OSError for want of space, StoreUnavailable for others."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StorageFull(f"{full}: {error.strerror}") from error
        raise StoreUnavailable(f"{refused}: {error}") from error
