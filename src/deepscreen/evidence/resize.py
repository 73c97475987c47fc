"""Fast scaling of pictures that remembers exactly which source pixels it covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from deepscreen.media.halving import halved, halvings
from deepscreen.media.samples import Pixels

# A strip of 30,000 x 1 pixels is within any pixel count but not within a page.
MAX_SIDE_PX = 4096


@dataclass(frozen=True, slots=True, repr=False)
class Scaled:
    """A scaled picture; source position x its scale = position in ``pixels`` (pixel j covers [j, j + 1))."""

    pixels: Pixels
    scale_x: float
    scale_y: float


def fit(pixels: Pixels, *, max_pixels: int, max_side_px: int = MAX_SIDE_PX) -> Scaled:
    """*pixels* scaled down to at most *max_pixels* and *max_side_px*; never enlarged, never below one pixel."""
    height, width = pixels.shape[:2]
    factor = min(1.0, math.sqrt(max_pixels / (height * width)), max_side_px / max(height, width))
    if factor == 1.0:
        return Scaled(pixels, 1.0, 1.0)
    out_width, out_height = max(1, int(width * factor)), max(1, int(height * factor))
    return shrink(pixels, out_width, out_height)


def shrink(pixels: Pixels, out_width: int, out_height: int) -> Scaled:
    """Halves by area while that is possible, then interpolates the rest: ten times faster than area all the way.

    Halving an odd side drops its last source row or column; ``scale_x`` and ``scale_y`` account for that.
    """
    times = min(halvings(pixels.shape[1], out_width), halvings(pixels.shape[0], out_height))
    small = halved(pixels, times)
    covered_width, covered_height = small.shape[1] << times, small.shape[0] << times
    done = np.asarray(cv2.resize(small, (out_width, out_height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return Scaled(done, out_width / covered_width, out_height / covered_height)
