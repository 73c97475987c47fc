"""Data behind the end of a picture: thumbnails and clips of phones, hidden files, or a second picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.specimen import Specimen

READ_BYTES = 64 * 1024
MAX_MARKS = 10_000
MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not stuffing, restarts and fill bytes (T.81, B.1.1)
END_MARK, LONE_MARK = b"\xd9", b"\x01"
LEAST_BYTES = 64
KNOWN_STARTS = (
    (b"\xff\xd8\xff", "a JPEG"),
    (b"PK\3\4", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF"),
)


def trailing_data(specimen: Specimen) -> Iterator[Finding]:
    """A finding where a JPEG or PNG file goes on after its end."""
    end = {"JPEG": _jpeg_end, "PNG": _png_end}.get(specimen.format, lambda _: None)(specimen)
    if end is None:
        return
    size = specimen.file.seek(0, os.SEEK_END)
    if size - end < LEAST_BYTES:
        return
    specimen.file.seek(end)
    start = specimen.file.read(64)
    what = next(
        (words for mark, words in KNOWN_STARTS if start.startswith(mark)), "video" if start[4:8] == b"ftyp" else "data"
    )
    yield finding(
        "trailing_data",
        f"Behind the end of the picture follow {size - end} bytes more ({what}), as phones, editors and hiding "
        "tools add.",
        source="file structure",
        severity="notice",
        facts={"bytes": size - end, "looks_like": what},
    )


def _png_end(specimen: Specimen) -> int | None:
    last = specimen.metadata.blocks[-1] if specimen.metadata.blocks else None
    return last.offset + 12 if last is not None and last.name == "IEND" else None


def _jpeg_end(specimen: Specimen) -> int | None:
    """After the end mark; None without one. Files with several pictures by design (MPF) are left alone.

    Segment by segment, as decoders go: thumbnails and what follows the picture hold end marks too.
    """
    if any(block.name == "APP2" and block.data.startswith(b"MPF\0") for block in specimen.metadata.blocks):
        return None
    behind = 2
    for _ in range(MAX_MARKS):
        if (at := _next_mark(specimen.file, behind)) is None:
            return None
        specimen.file.seek(at + 1)
        mark, length = specimen.file.read(1), specimen.file.read(2)
        if mark == END_MARK:
            return at + 2
        behind = at + (2 if mark == LONE_MARK else 2 + max(2, int.from_bytes(length, "big")))
    return None


def _next_mark(file: BinaryIO, at: int) -> int | None:
    """Where the next mark stands at or behind *at*, coded picture data and fill bytes left aside."""
    file.seek(at)
    content, start = file.read(READ_BYTES), at
    while len(content) > 1:
        if (match := MARK.search(content)) is not None:
            return start + match.start()
        content, start = content[-1:] + file.read(READ_BYTES), start + len(content) - 1
    return None
