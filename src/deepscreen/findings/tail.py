"""Data behind the end of a picture: thumbnails and clips of phones, hidden files, or a second picture."""

from __future__ import annotations

import os
from collections.abc import Iterator

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.specimen import Specimen

READ_BYTES = 1024 * 1024
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
    """After the last end mark; files with several pictures by design (MPF) are left alone."""
    if any(block.name == "APP2" and block.data.startswith(b"MPF\0") for block in specimen.metadata.blocks):
        return None
    size = specimen.file.seek(0, os.SEEK_END)
    specimen.file.seek(max(0, size - READ_BYTES))
    tail = specimen.file.read(READ_BYTES)
    at = tail.rfind(b"\xff\xd9")
    return None if at < 0 else max(0, size - READ_BYTES) + at + 2
