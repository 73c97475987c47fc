"""The only way into the cache: make a file beside it, prove it, put it in place in one step.

A process that is killed at any moment leaves the cache as it was, plus a staging folder that the next one clears away.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deepscreen.errors import WeightsMismatch, WeightsUnavailable
from deepscreen.weights.manifest import WeightsRow
from deepscreen.weights.store import file_sha256

_LOCK_NAME = ".lock"
_STAGING_PREFIX = ".staging-"


@contextmanager
def staging_folder(cache_dir: Path, on_wait: Callable[[], None]) -> Iterator[Path]:
    """An empty folder on the cache's file system, under a lock that one process holds at a time.

    ``on_wait`` is called once where another process holds it. Raises WeightsUnavailable where the cache cannot be
    written to or the disk is full.
    """
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        # The kernel drops the lock when its holder dies, so a kill -9 leaves nothing to clean up by hand.
        with (cache_dir / _LOCK_NAME).open("w") as lock:
            _acquire(lock.fileno(), on_wait)
            for leftover in cache_dir.glob(f"{_STAGING_PREFIX}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(
                prefix=_STAGING_PREFIX, dir=cache_dir, ignore_cleanup_errors=True
            ) as folder:
                yield Path(folder)
    except OSError as error:
        raise WeightsUnavailable(
            f"{error.filename or cache_dir}: {error.strerror}; check folder, rights and space"
        ) from error


def install(staged: Path, row: WeightsRow, cache_dir: Path) -> None:
    """Moves the proven file into the cache; raises WeightsMismatch, and leaves the cache alone, where it is another."""
    prove(staged, row.sha256, f"{row.file} (made for weights {row.name!r})")
    with staged.open("rb") as file:
        os.fsync(file.fileno())
    staged.replace(cache_dir / row.file)
    folder = os.open(cache_dir, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def prove(path: Path, expected_sha256: str, title: str) -> None:
    """Raises WeightsMismatch where the file's digest is not the expected one."""
    found = file_sha256(path)
    if found != expected_sha256:
        raise WeightsMismatch(
            f"{title}: expected sha256 {expected_sha256}, found {found}; the source was changed or cut short:"
            " try again, and take it from another source if it stays so"
        )


def _acquire(descriptor: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
