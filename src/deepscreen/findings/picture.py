"""Findings that need the decoded picture of a JPEG: an earlier compression, a thumbnail that shows something else."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from deepscreen.findings.finding import Finding
from deepscreen.findings.inspectors import guarded
from deepscreen.findings.metadata import EXIF_MARK, exif_of
from deepscreen.findings.recompression import recompression
from deepscreen.findings.thumbnail import thumbnail_mismatch


def picture_findings(image: Image.Image) -> Iterator[Finding]:
    """Findings on the decoded *image*, as stored: not yet turned upright."""
    yield from guarded("JPEG coefficients", lambda: recompression(image))
    yield from guarded("thumbnail", lambda: thumbnail_mismatch(image, embedded_thumbnail(image)))


def embedded_thumbnail(image: Image.Image) -> bytes:
    """The JPEG that EXIF embeds, or nothing."""
    raw = image.info.get("exif", b"")
    if not isinstance(raw, bytes):
        return b""
    return exif_of(raw.removeprefix(EXIF_MARK), None)[1]
