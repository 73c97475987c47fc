"""Whether the thumbnail that EXIF embeds shows the picture: programs that change one do not always renew the other."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepscreen.findings.finding import Finding, finding

MAX_THUMBNAIL_PIXELS = 1_000_000
SAMPLED_PX = 576
COMPARED_PX = (96, 96)
LEAST_CORRELATION = 0.85
FLAT = 2.0  # standard deviation in grey levels below which nothing can be compared


def thumbnail_mismatch(image: Image.Image, thumbnail: bytes) -> tuple[Finding, ...]:
    """A finding where *thumbnail* (JPEG bytes) shows something else than the decoded *image*, as stored."""
    if not thumbnail:
        return ()
    small = Image.open(io.BytesIO(thumbnail), formats=["JPEG"])
    if small.width * small.height > MAX_THUMBNAIL_PIXELS or min(small.size) < 16:
        return ()
    scale = min(1.0, SAMPLED_PX / min(image.size))  # single pixels: means of all would take most of the time
    picture = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST).convert(
        "L"
    )
    shown = small.convert("L")
    best = max(_correlation(turned, shown) for turned in (picture, *(picture.transpose(t) for t in _TURNS)))
    if best >= LEAST_CORRELATION:
        return ()
    return (
        finding(
            "thumbnail_mismatch",
            "The embedded thumbnail does not show the picture: one of the two was changed or replaced.",
            source="EXIF",
            severity="warning",
            facts={"correlation": round(best, 3), "width_px": small.width, "height_px": small.height},
        ),
    )


_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


def _correlation(picture: Image.Image, thumbnail: Image.Image) -> float:
    """Of the grey values; the thumbnail is cut to the picture's shape, since cameras add black bars."""
    a, b = _grey(picture), _grey(_without_bars(thumbnail, picture.width / picture.height))
    if a.std() < FLAT or b.std() < FLAT:
        return 1.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _without_bars(thumbnail: Image.Image, aspect: float) -> Image.Image:
    width = min(thumbnail.width, round(thumbnail.height * aspect))
    height = min(thumbnail.height, round(thumbnail.width / aspect))
    left, top = (thumbnail.width - width) // 2, (thumbnail.height - height) // 2
    return thumbnail.crop((left, top, left + max(1, width), top + max(1, height)))


def _grey(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image.resize(COMPARED_PX, Image.Resampling.BOX), np.float64)
