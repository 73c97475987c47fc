"""Laundering: what pictures go through on their way to an examiner, applied alike to both classes."""

from __future__ import annotations

import cv2
import numpy as np

from deepscreen.media.samples import Pixels

JPEG_QUALITY = (30, 96)
RESIZE_FACTOR = (0.4, 1.5)
SHRINK_FACTOR = (0.35, 1.0)
SHARE_QUALITY = (30, 80)
MAX_SHARES = 3
MIN_PASSED_ON_PX = 112  # of the shorter side: nobody passes on less
RECROP = 0.15  # of a side: the most that a share cuts away
ONE_SIZE_PX, ONE_QUALITY = 320, 85


def launder(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy after a random chain of resize, blur, noise and lossy coding; the size may change."""
    out = pixels
    if rng.random() < 0.6:
        out = _resize(out, rng.uniform(*RESIZE_FACTOR))
    if rng.random() < 0.2:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.5)), dtype=np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(1, 6), out.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.9:
        out = recode(out, ".jpg" if rng.random() < 0.8 else ".webp", int(rng.integers(*JPEG_QUALITY)))
    return out


def pass_on(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy after one to three shares over networks that shrink, cut at the edges and compress each time."""
    out = pixels
    for _ in range(int(rng.integers(1, MAX_SHARES + 1))):
        if rng.random() < 0.3:
            out = _recrop(out, rng)
        out = _resize(out, min(1.0, max(rng.uniform(*SHRINK_FACTOR), MIN_PASSED_ON_PX / min(out.shape[:2]))))
        out = recode(out, ".jpg" if rng.random() < 0.8 else ".webp", int(rng.integers(*SHARE_QUALITY)))
    return out


def recode(pixels: Pixels, suffix: str, quality: int) -> Pixels:
    """Through a lossy coder and back; ``suffix``: ".jpg" or ".webp"."""
    flag = cv2.IMWRITE_JPEG_QUALITY if suffix == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
    _, data = cv2.imencode(suffix, np.ascontiguousarray(pixels[:, :, ::-1]), [flag, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError(f"recoding as {suffix} at quality {quality} gave nothing")
    return np.ascontiguousarray(decoded[:, :, ::-1]).astype(np.uint8)


def half_size_jpeg_50(pixels: Pixels) -> Pixels:
    """Half the size, then JPEG at quality 50: the fixed hard test."""
    return recode(_resize(pixels, 0.5), ".jpg", 50)


def one_size_and_quality(pixels: Pixels) -> Pixels:
    """320 x 320 pixels, JPEG at quality 85, whatever it was: size and format no longer tell classes apart."""
    method = cv2.INTER_AREA if min(pixels.shape[:2]) > ONE_SIZE_PX else cv2.INTER_CUBIC
    same = np.asarray(cv2.resize(pixels, (ONE_SIZE_PX, ONE_SIZE_PX), interpolation=method), dtype=np.uint8)
    return recode(same, ".jpg", ONE_QUALITY)


STRESSES = {"half size, JPEG 50": half_size_jpeg_50, "one size, one JPEG quality": one_size_and_quality}


def _recrop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """As a screenshot cuts: something off each side, and the grid of the blocks elsewhere."""
    height, width = pixels.shape[:2]
    top, bottom, left, right = rng.uniform(0, RECROP / 2, 4)
    return pixels[int(top * height) : height - int(bottom * height), int(left * width) : width - int(right * width)]


def _resize(pixels: Pixels, factor: float) -> Pixels:
    height, width = (max(32, round(side * factor)) for side in pixels.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=method), dtype=np.uint8)
