"""Simulated ways of a picture that leave it little of its traces: off a screen, and through chains of compression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import cv2
import numpy as np

from deepscreen.media.samples import Pixels
from deepscreen.training.launder import recode

SCREEN_PX_PER_PX = 3  # a screen's pixel is three stripes of one colour each
CAMERA_SHARE = 1.6  # the camera's pixels, of the picture's, a side
MAX_SIDE_PX = 900
CHAIN = ((0.85, 72), (0.9, 58), (0.8, 66), (0.9, 45))  # scale and JPEG quality of each share
SMALLEST_PX = 64


def recaptured(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture shown on a screen and photographed askew: stripes, moire, blur, uneven light, noise, JPEG."""
    shown = _bounded(pixels)
    height, width = shown.shape[:2]
    screen = np.kron(shown, np.ones((SCREEN_PX_PER_PX, SCREEN_PX_PER_PX, 1), dtype=np.uint8)).astype(np.float32)
    for channel in range(3):
        stripe = np.full(SCREEN_PX_PER_PX, 0.35, np.float32)
        stripe[channel] = 1.0
        screen[:, :, channel] *= np.tile(stripe, width)
    size = (round(width * CAMERA_SHARE), round(height * CAMERA_SHARE))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) * SCREEN_PX_PER_PX
    target = corners / corners.max(axis=0) * size + rng.uniform(-0.012, 0.012, (4, 2)) * size
    soft = cv2.GaussianBlur(screen, (0, 0), float(rng.uniform(1.0, 1.6)))
    matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
    seen = np.asarray(cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    light = np.linspace(rng.uniform(0.85, 1.0), rng.uniform(0.85, 1.0), size[0], dtype=np.float32)
    seen = seen * light[None, :, None] * (3 / (1 + 2 * 0.35))
    noisy = np.clip(seen + rng.normal(0, rng.uniform(1.5, 4.0), seen.shape), 0, 255)
    return recode(noisy.astype(np.uint8), ".jpg", int(rng.integers(75, 93)))


def passed_on(pixels: Pixels, times: int) -> Pixels:
    """The picture after *times* shares (at most four), each smaller and compressed."""
    out = pixels
    for scale, quality in CHAIN[:times]:
        width, height = (max(SMALLEST_PX, round(side * scale)) for side in (out.shape[1], out.shape[0]))
        out = np.asarray(cv2.resize(out, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        out = recode(out, ".jpg", quality)
    return out


WAYS: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = MappingProxyType(
    {"recaptured from a screen (simulated)": recaptured}
    | {f"shared {n} times": partial(lambda n, pixels, _: passed_on(pixels, n), n) for n in (1, 2, 4)}
)


def _bounded(pixels: Pixels) -> Pixels:
    scale = MAX_SIDE_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
