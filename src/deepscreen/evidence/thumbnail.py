"""Small pictures of items for lists; not evidence."""

from __future__ import annotations

from deepscreen.evidence.png import encode_jpeg
from deepscreen.evidence.resize import fit
from deepscreen.media.samples import Pixels

THUMBNAIL_QUALITY = 80


def thumbnail_jpeg(pixels: Pixels, *, long_side_px: int = 256) -> bytes:
    """A JPEG of *pixels* whose longer side is at most *long_side_px*; smaller pictures keep their size."""
    small = fit(pixels, max_pixels=long_side_px * long_side_px, max_side_px=long_side_px)
    return encode_jpeg(small.pixels, quality=THUMBNAIL_QUALITY)
