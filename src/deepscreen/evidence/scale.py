"""The fixed colour scale of all saliency: the same log-odds have the same colour in every picture, never a stretch.

Diverging and safe for colour-blind readers: support for "synthetic or manipulated" is amber to dark red and covers
more the stronger it is; support for "bona fide" is blue and stays nearly transparent, so that an unremarkable picture
looks like itself.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels

SCALE_LOW = -4.0
SCALE_HIGH = 4.0
WARM = 1.0  # from here on a place is called warm: the first full colour of the scale
SCALE_UNIT = "log-odds for synthetic or manipulated"

LEVELS = 256
WARM_MAX_ALPHA = 0.68
COOL_MAX_ALPHA = 0.30
# Below this |log-odds| a value is background: odds of less than 3 to 2 are not worth a tint.
DEAD_ZONE = 0.4
# (log-odds, RGB); between them colours are interpolated. Lightness falls on both sides of the middle.
ANCHORS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (-4.0, (5, 60, 130)),
    (-2.0, (45, 120, 190)),
    (0.0, (235, 235, 225)),
    (1.0, (255, 200, 70)),
    (2.0, (250, 130, 20)),
    (3.0, (215, 40, 20)),
    (4.0, (130, 0, 30)),
)


def to_levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Log-odds on the fixed scale as 0..255; what lies outside the scale is clipped to its ends."""
    span = (LEVELS - 1) / (SCALE_HIGH - SCALE_LOW)
    scaled = np.rint((np.clip(values, SCALE_LOW, SCALE_HIGH) - SCALE_LOW) * span)
    return np.asarray(scaled, dtype=np.uint8)


def level_of_zero() -> int:
    """The level that log-odds 0 falls on; it is fully transparent."""
    return int(to_levels(np.zeros(1, dtype=np.float32))[0])


@lru_cache(maxsize=1)
def _level_values() -> NDArray[np.float64]:
    return np.linspace(SCALE_LOW, SCALE_HIGH, LEVELS)


@lru_cache(maxsize=1)
def colours() -> Pixels:
    """RGB of each level: (256, 3) uint8."""
    stops = [value for value, _ in ANCHORS]
    channels = [np.interp(_level_values(), stops, [rgb[c] for _, rgb in ANCHORS]) for c in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=1)), dtype=np.uint8)


@lru_cache(maxsize=1)
def opacities() -> NDArray[np.float64]:
    """Alpha of each level in [0, 1]: 0 in the dead zone, then growing with the square root of what is above it."""
    values = _level_values()
    reach = np.clip((np.abs(values) - DEAD_ZONE) / (SCALE_HIGH - DEAD_ZONE), 0.0, 1.0)
    return np.where(values > 0, WARM_MAX_ALPHA, COOL_MAX_ALPHA) * np.sqrt(reach)


@lru_cache(maxsize=1)
def _blend_tables() -> tuple[Pixels, Pixels]:
    """Per level: colour x alpha, and (1 - alpha) x 255 in each channel, as (1, 256, 3) look-up tables."""
    alpha = opacities()[:, None]
    premultiplied = np.rint(colours() * alpha)
    remaining = np.repeat(np.rint((1.0 - alpha) * 255.0), 3, axis=1)
    return (
        np.asarray(premultiplied[None], dtype=np.uint8),
        np.asarray(remaining[None], dtype=np.uint8),
    )


def blend(pixels: Pixels, levels: NDArray[np.uint8]) -> Pixels:
    """*pixels* under the colours of *levels*, both (height, width, ...); one byte a channel throughout, for speed."""
    premultiplied, remaining = _blend_tables()
    three = cv2.merge([levels, levels, levels])
    kept = cv2.multiply(pixels, cv2.LUT(three, remaining), scale=1.0 / 255.0)
    return np.asarray(cv2.add(kept, cv2.LUT(three, premultiplied)), dtype=np.uint8)
