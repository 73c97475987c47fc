"""Members of containers on their way to the decoder: one at a time in a private folder, within a budget."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from deepscreen.errors import EmptyMedia, UnpackRefused, UnreadableMedia
from deepscreen.media.containers.kinds import ContainerKind, ewf_segment
from deepscreen.media.intake import Intake, check_size
from deepscreen.media.wire import MAX_FURTHER_FILES
from deepscreen.scanning.listing import read_head
from deepscreen.scanning.rows import MEMBER_MARK
from deepscreen.settings import Limits, UnpackLimits
from deepscreen.store.disk_errors import told_as_store_errors

FREE_BYTES = 64 * 1024 * 1024  # that may come out of a small container before its ratio is looked at
SEGMENT_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Budget:
    """What may still come out of one container of the folder, with all containers within it."""

    def __init__(self, limits: UnpackLimits, container_bytes: int, *, spent_bytes: int = 0) -> None:
        """``spent_bytes``: what came out of it before the scan was stopped."""
        self._limits = limits
        self._most_bytes = min(limits.max_bytes, max(FREE_BYTES, int(limits.max_ratio * container_bytes)))
        self._bytes, self._members = spent_bytes, 0
        self.is_spent = False  # something was refused

    def spend(self, size_bytes: int) -> None:
        """Notes unpacked bytes; raises UnpackRefused where they are too many."""
        self._bytes += size_bytes
        if self._bytes > self._most_bytes:
            self.is_spent = True
            raise UnpackRefused(
                f"more than {self._most_bytes} bytes come out of the container "
                "(settings unpack.max_ratio and unpack.max_bytes)"
            )

    def count(self) -> None:
        """Notes a member; raises UnpackRefused where there are too many."""
        self._members += 1
        if self._members > self._limits.max_members:
            self.is_spent = True
            raise UnpackRefused(f"more than {self._limits.max_members} files in the container (unpack.max_members)")


class Names:
    """Ways of a container's members; a name that comes again gets a number, for each file has a way of its own."""

    def __init__(self, container_way: bytes) -> None:
        self._prefix = container_way + MEMBER_MARK
        self._seen: Counter[bytes] = Counter()

    def way(self, name: bytes) -> bytes:
        """The way of the next member of this name."""
        # Sixteen bytes of digest and not the name: a container may hold a million of them.
        key = hashlib.blake2b(name, digest_size=16).digest()
        self._seen[key] += 1
        number = self._seen[key]
        return self._prefix + name + (f"#{number}".encode() if number > 1 else b"")


def write_member(content: Iterator[bytes], target: Path, budget: Budget) -> Intake:
    """Writes a member's content to *target*, hashed on its way; only the owner may read it.

    Raises MediaError (what *content* raises, EmptyMedia, UnpackRefused) or StorageFull.
    """
    digest, size_bytes = hashlib.sha256(), 0
    with told_as_store_errors(full="no space left to unpack", refused="nothing can be unpacked"):
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for piece in content:
                budget.spend(len(piece))
                size_bytes += len(piece)
                digest.update(piece)
                file.write(piece)
    if size_bytes == 0:
        raise EmptyMedia("the file holds zero bytes")
    return Intake(target, digest.hexdigest(), size_bytes)


def size_problem(size_bytes: int | None, limits: Limits) -> None:
    """Raises MediaTooLarge, before any of it is unpacked, where a member claims to be larger than any file may be."""
    if size_bytes:
        check_size(size_bytes, limits)


def further_segments(path: Path, kind: ContainerKind) -> tuple[Path, ...]:
    """The other segments of an Expert Witness image, beside its first one ``NAME.E01``, in order; as far as they go.

    Raises UnpackRefused where they are more than can be read.
    """
    if kind != "ewf":
        return ()
    found: list[Path] = []
    for suffix in _suffixes(path.suffix):
        segment = path.with_suffix(suffix)
        if not _is_segment(segment, len(found) + 2):
            return tuple(found)
        found.append(segment)
    raise UnpackRefused(f"the image has more than {MAX_FURTHER_FILES} segments")


def _suffixes(first: str) -> list[str]:
    """Of the segments after ``.E01``: .E02 to .E99, then .EAA, .EAB and so on; in the case of the first."""
    letter = first[1:2] or "E"
    numbered = [f".{letter}{n:02}" for n in range(2, 100)]
    lettered = [f".{letter}{a}{b}" for a in SEGMENT_LETTERS for b in SEGMENT_LETTERS]
    return [*numbered, *(s if letter.isupper() else s.lower() for s in lettered)][:MAX_FURTHER_FILES]


def _is_segment(path: Path, number: int) -> bool:
    try:
        head = read_head(path)
    except UnreadableMedia:
        return False
    return head.startswith(b"EVF\x09") and ewf_segment(head) == number
