"""The boxes of ISO base media files (MP4, MOV, M4A, HEIC, AVIF): their order and their small contents.

*Source:* ISO/IEC 14496-12:2022, 4.2 and 8; Apple, QuickTime File Format (2016).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 4_000
MAX_DEPTH = 8
MAX_CONTENT_BYTES = 64 * 1024
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
HOLDERS = frozenset({"moov", "trak", "mdia", "minf", "stbl", "udta", "edts", "meta", "ilst", "moof", "mvex"})


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its path from the top (``moov/trak/tkhd``), where it begins, its whole size and its first content."""

    path: str
    offset: int
    size: int
    content: bytes  # without the header, at most MAX_CONTENT_BYTES; of boxes that hold others, nothing

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def boxes_of(file: BinaryIO) -> list[Box]:
    """All boxes in their order, holders before what they hold; of a broken file those before the damage."""
    found: list[Box] = []
    end = file.seek(0, os.SEEK_END)
    for box in _walk(file, 0, end, "", 0):
        found.append(box)
        if len(found) == MAX_BOXES:
            break
    return found


def _walk(file: BinaryIO, at: int, end: int, above: str, depth: int) -> Iterator[Box]:
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1 and len(head) == 16:
            size, header = int.from_bytes(head[8:], "big"), 16
        if size == 0:
            size = end - at
        if size < header or at + header > end:
            return
        name = head[4:8].decode("latin-1")
        path = f"{above}/{name}" if above else name
        inner_end = min(at + size, end)
        if name in HOLDERS and depth < MAX_DEPTH:
            yield Box(path, at, size, b"")
            yield from _walk(file, at + header + _version_bytes(file, at + header, name), inner_end, path, depth + 1)
        else:
            file.seek(at + header)
            most = MAX_MANIFEST_BYTES if name == "uuid" else MAX_CONTENT_BYTES
            yield Box(path, at, size, file.read(min(inner_end - at - header, most)))
        at += size


def _version_bytes(file: BinaryIO, at: int, name: str) -> int:
    """``meta`` is a full box in MP4, with four bytes of version and flags, and a plain one in QuickTime."""
    if name != "meta":
        return 0
    file.seek(at + 4)
    return 0 if file.read(4) == b"hdlr" else 4
