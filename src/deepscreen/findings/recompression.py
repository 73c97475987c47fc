"""Whether a JPEG was a JPEG of lower quality before: its coefficients then keep to the multiples of the older steps.

Works on pixels that were decoded already. Only a first saving in the same 8 x 8 grid and with coarser steps is seen; a
crop off the grid, a scaling or a stronger second compression hides it. *Source:* after Popescu and Farid, Statistical
Tools for Digital Forensics (2004), section 2; differs from it in that the support of the older steps is counted
instead of peaks in the spectrum of the histogram.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.jpeg_tables import STANDARD, scaled

CROP_PX = 768
# The first ten alternating modes of the zigzag: they hold enough coefficients that are not zero.
MODES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0), (2, 2))
LEAST_COEFFICIENTS = 150
LEAST_MODES = 3
LEAST_RATIO = 1.4  # of the older step to the present one
MAX_STEP = 80
ROUNDING = 1.0  # pixels were rounded between the two savings, and again when they became luminance
LEAST_ON_STEPS = 0.93
LEAST_SURPLUS = 0.18  # over what a smooth histogram would have on the same steps
DCT = np.array([[np.cos((2 * x + 1) * k * np.pi / 16) for x in range(8)] for k in range(8)], np.float32) / 2
DCT[0] /= np.sqrt(np.float32(2))
Values = NDArray[np.float32]


def recompression(image: Image.Image) -> tuple[Finding, ...]:
    """A finding where the decoded JPEG *image* (as stored, not turned) was saved before with coarser steps."""
    table = next(iter(getattr(image, "quantization", {}).values()), None)
    if table is None or image.mode not in ("L", "RGB") or min(image.size) < 64:
        return ()
    coefficients = _coefficients(_luminance(image))
    older, tested = {}, 0
    for row, column in MODES:
        step = int(table[8 * row + column])
        values = np.rint(coefficients[:, row, column] / step).astype(np.int64)
        values = np.abs(values[values != 0])
        if len(values) < LEAST_COEFFICIENTS:
            continue
        tested += 1
        if (found := _older_step(values, step)) is not None:
            older[row, column] = found
    if len(older) < max(LEAST_MODES, (tested + 1) // 2):
        return ()
    quality = _quality_of(older)
    return (
        finding(
            "double_compression",
            f"The picture was a JPEG of lower quality before (about quality {quality} of libjpeg) and was saved again.",
            source="JPEG coefficients",
            severity="notice",
            facts={"earlier_quality": quality, "modes_tested": tested, "modes_with_older_steps": len(older)},
        ),
    )


def _luminance(image: Image.Image) -> Values:
    """Whole blocks from the middle of the picture, (8 n, 8 m)."""
    left, top = ((max(0, side - CROP_PX) // 2) // 8 * 8 for side in image.size)
    width, height = (min(CROP_PX, side) // 8 * 8 for side in image.size)
    crop = image.crop((left, top, left + width, top + height))
    return np.asarray(crop.convert("L"), np.float32) - 128


def _coefficients(luminance: Values) -> Values:
    """The DCT of every block, (blocks, 8, 8)."""
    height, width = luminance.shape
    blocks = luminance.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    return np.asarray(DCT @ blocks @ DCT.T, np.float32)


def _older_step(values: NDArray[np.int64], step: int) -> int | None:
    """The step whose multiples hold nearly all *values* (quantised by *step*), or None."""
    counts = np.bincount(np.minimum(values, 400)).astype(np.float64)
    best, best_surplus = None, LEAST_SURPLUS
    levels = np.arange(len(counts)) * float(step)
    for older in range(int(np.ceil(step * LEAST_RATIO)), MAX_STEP):
        nearest = np.maximum(np.rint(levels / older), 1) * older
        on_step = np.abs(levels - nearest) <= step / 2 + ROUNDING
        share = counts[on_step].sum() / counts.sum()
        if share < LEAST_ON_STEPS:
            continue
        reach = int(np.ceil(older / step))
        smooth = np.convolve(counts[1:], np.ones(2 * reach + 1))[reach:-reach]
        surplus = share - smooth[on_step[1:]].sum() / smooth.sum()
        if surplus > best_surplus:
            best, best_surplus = older, surplus
    return best


def _quality_of(older: dict[tuple[int, int], int]) -> int:
    """The quality whose standard table lies nearest to the older steps."""

    def distance(table: Sequence[int]) -> float:
        return float(sum(abs(table[8 * row + column] - step) for (row, column), step in older.items()))

    return min(range(1, 101), key=lambda quality: distance(scaled(STANDARD[0], quality)))
