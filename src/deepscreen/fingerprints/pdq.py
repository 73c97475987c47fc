"""PDQ: 256 bits that a picture keeps when it is scaled, re-encoded or slightly changed in colour.

*Source:* Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019), and its reference
implementation in ThreatExchange (BSD), read for window sizes, rounding and order of bits; nothing is copied. Differs
from the source in that pictures beyond 512 pixels a side are first scaled by area: a few bits of 256 may differ.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels

# As the source advises: nearer is the same picture, and pictures without features (quality is 0 to 100) match anything.
MAX_DISTANCE, MIN_QUALITY = 31, 50
GRID, SIDE = 64, 16  # of the smoothed picture, and of the corner of its cosine transform that is kept
LARGEST_SIDE_PX = 512
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
PASSES = 2
Plane = NDArray[np.float32]


def pdq(pixels: Pixels) -> tuple[bytes, int]:
    """The hash of a picture, 32 bytes with the bit of the lowest frequency last, and its quality, 0 to 100."""
    small = _smoothed(_luma(pixels))
    transform = _cosines() @ small @ _cosines().T
    bits = transform > np.median(transform)
    return np.packbits(bits.reshape(-1)[::-1]).tobytes(), _quality(small)


def _luma(pixels: Pixels) -> Plane:
    height, width = pixels.shape[:2]
    if max(height, width) > LARGEST_SIDE_PX:
        size = (min(width, LARGEST_SIDE_PX), min(height, LARGEST_SIDE_PX))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return pixels.astype(np.float32) @ LUMA


def _smoothed(luma: Plane) -> Plane:
    """The plane after two passes of a box filter each way, at 64 x 64 places of it."""
    for _ in range(PASSES):
        luma = _boxed(_boxed(luma).T).T
    rows, columns = (((np.arange(GRID) + 0.5) * n / GRID).astype(int) for n in luma.shape)
    return luma[np.ix_(rows, columns)]


def _boxed(plane: Plane) -> Plane:
    """Means along rows over a window of a 128th of their length, cut off at their ends."""
    length = plane.shape[1]
    window = (length + 2 * GRID - 1) // (2 * GRID)
    ahead = (window + 2) // 2
    sums = np.zeros((plane.shape[0], length + 1))
    np.cumsum(plane, axis=1, dtype=np.float64, out=sums[:, 1:])
    places = np.arange(length)
    first, last = np.maximum(places - (window - ahead), 0), np.minimum(places + ahead, length)
    return np.asarray((sums[:, last] - sums[:, first]) / (last - first), np.float32)


@lru_cache(maxsize=1)
def _cosines() -> Plane:
    rows, columns = np.arange(1, SIDE + 1)[:, None], 2 * np.arange(GRID) + 1
    return np.asarray(math.sqrt(2 / GRID) * np.cos(math.pi / (2 * GRID) * rows * columns), np.float32)


def _quality(small: Plane) -> int:
    steps = [np.abs(np.diff(small, axis=axis) * 100 / 255).astype(int).sum() for axis in (0, 1)]
    return int(min(100, sum(steps) / 90))
