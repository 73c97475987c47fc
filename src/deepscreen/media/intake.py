"""Take a file in: is it a regular, readable file of bearable size, and what is its sha256? Nothing is parsed here."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import EmptyMedia, MediaTooLarge, UnreadableMedia
from deepscreen.settings import Limits

PIECE_BYTES = 1024 * 1024
# O_NONBLOCK: opening a FIFO without a writer would otherwise wait for ever.
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Intake:
    """A file that may be decoded: where it lies, and what it is identified by."""

    path: Path
    sha256: str
    size_bytes: int


def take_in(path: Path, *, limits: Limits) -> Intake:
    """The file's identity, read once in pieces; the file is never written to.

    Raises UnreadableMedia (missing, no permission, not a regular file), EmptyMedia, MediaTooLarge.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        check_size(os.fstat(descriptor).st_size, limits)
        digest = hashlib.sha256()
        size_bytes = 0
        while piece := _read(file.fileno()):
            size_bytes += len(piece)
            check_size(size_bytes, limits)  # the file may grow while it is read
            digest.update(piece)
    check_size(size_bytes, limits)
    return Intake(path, digest.hexdigest(), size_bytes)


def intake_of_hashed(path: Path, sha256: str, size_bytes: int, *, limits: Limits) -> Intake:
    """The intake of a file that was hashed while it arrived (an upload), without a second reading.

    Raises as ``take_in``, and UnreadableMedia when the file's size is not *size_bytes*.
    """
    check_size(size_bytes, limits)
    intake = Intake(path, sha256, size_bytes)
    os.close(open_taken(intake))
    return intake


def open_taken(intake: Intake) -> int:
    """A read-only descriptor of the file; raises UnreadableMedia when its size is no longer what was hashed."""
    descriptor = open_regular(intake.path)
    found_bytes = os.fstat(descriptor).st_size
    if found_bytes != intake.size_bytes:
        os.close(descriptor)
        raise UnreadableMedia(f"the file changed: {found_bytes} bytes now, {intake.size_bytes} bytes when hashed")
    return descriptor


def open_regular(path: Path | bytes) -> int:
    """A read-only descriptor of a regular file; raises UnreadableMedia with the reason. The name is never judged."""
    try:
        descriptor = os.open(path, OPEN_FLAGS)
    except ValueError as error:
        raise UnreadableMedia(f"no file can have this name: {error}") from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a device that is not there
            raise UnreadableMedia("not a regular file: a socket or device") from error
        raise UnreadableMedia(f"the file cannot be opened: {error.strerror}") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise UnreadableMedia(f"not a regular file: {_kind_of(mode)}")
    return descriptor


def check_size(size_bytes: int, limits: Limits) -> None:
    """Raises EmptyMedia for nothing and MediaTooLarge beyond the limit."""
    if size_bytes == 0:
        raise EmptyMedia("the file holds zero bytes")
    if size_bytes > limits.max_bytes:
        raise MediaTooLarge(f"{size_bytes} bytes; at most {limits.max_bytes} are read (setting limits.max_bytes)")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, PIECE_BYTES)
    except OSError as error:
        raise UnreadableMedia(f"the file cannot be read: {error.strerror}") from error


def _kind_of(mode: int) -> str:
    names = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a character device",
        stat.S_IFBLK: "a block device",
    }
    return names.get(stat.S_IFMT(mode), "of an unknown kind")
