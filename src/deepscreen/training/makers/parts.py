"""What makers are made of: a picture with its mask, random regions, soft edges, altered copies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.launder import recode

Mask = NDArray[np.float32]  # (height, width) in [0, 1]; 1 = made, 0 = as it was
REGION_SHARE = (0.03, 0.30)  # of a picture's area


@dataclass(frozen=True, slots=True, repr=False)
class Blend:
    """A forged picture and where it was forged."""

    pixels: Pixels
    mask: Mask


def composite(base: Pixels, other: Pixels, mask: Mask) -> Blend:
    """*other* over *base* where the mask is 1, mixed where it lies between."""
    mixed = base + mask[:, :, None] * (other.astype(np.float32) - base)
    return Blend(np.clip(np.rint(mixed), 0, 255).astype(np.uint8), mask)


def random_region(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """A region with a hard edge: an irregular polygon, an ellipse or a box, somewhere in the picture."""
    height, width = shape[:2]
    area = np.exp(rng.uniform(*np.log(REGION_SHARE))) * height * width
    aspect = np.exp(rng.uniform(-0.5, 0.5))
    reach = np.minimum(np.sqrt(area / np.pi) * np.array([aspect, 1 / aspect]), np.array([width, height]) * 0.4)
    centre = rng.uniform(0.0, 1.0, 2) * (np.array([width, height]) - 2 * reach) + reach
    mask = np.zeros((height, width), np.float32)
    kind = rng.integers(0, 3)
    if kind == 0:
        cv2.fillPoly(mask, [_outline(centre, reach, rng)], 1.0)
        return deformed(mask, rng).round()
    if kind == 1:
        cv2.ellipse(mask, (tuple(centre.tolist()), tuple((2 * reach).tolist()), float(rng.uniform(0, 180))), 1.0, -1)
        return mask
    low, high = (np.rint(centre + sign * 0.88 * reach).astype(int) for sign in (-1, 1))
    mask[max(low[1], 0) : high[1] + 1, max(low[0], 0) : high[0] + 1] = 1.0
    return mask


def _outline(centre: NDArray[np.float64], reach: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int32]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(7, 14))))
    radii = rng.uniform(0.75, 1.2, len(angles))
    points = centre + np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None] * reach
    return np.asarray(points.round(), dtype=np.int32)


def deformed(mask: Mask, rng: np.random.Generator) -> Mask:
    """Elastic deformation by a smooth random field."""
    height, width = mask.shape
    reach = rng.uniform(0.01, 0.06) * max(height, width)
    field = rng.uniform(-1, 1, (2, 6, 6)).astype(np.float32) * np.float32(reach)
    dx, dy = (cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in field)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(mask, xs + dx, ys + dy, cv2.INTER_LINEAR), dtype=np.float32)


def feathered(mask: Mask, sigma_px: float) -> Mask:
    """The mask with a soft edge."""
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.3, sigma_px))
    return np.asarray(np.clip(soft, 0, 1), dtype=np.float32)


def shifted(pixels: Pixels, offset_px: NDArray[np.float64]) -> Pixels:
    """The picture moved by *offset_px* (x, y), mirrored at its edges."""
    matrix = np.array([[1, 0, offset_px[0]], [0, 1, offset_px[1]]], dtype=np.float64)
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def altered(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Colour and sharpness of a copy: what a generator or another camera would not match exactly."""
    gain = 1 + rng.uniform(-0.12, 0.12) + rng.uniform(-0.06, 0.06, 3)
    return processed(np.clip(pixels * gain + rng.uniform(-12, 12, 3), 0, 255).astype(np.uint8), rng)


def processed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy blurred, sharpened, resampled or recoded."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 2.0)), dtype=np.uint8)
    if kind == 1:
        amount, soft = rng.uniform(0.3, 1.2), cv2.GaussianBlur(pixels, (0, 0), 1.5)
        return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0), dtype=np.uint8)
    if kind == 2:
        return resampled(pixels, rng.uniform(0.35, 0.8))
    return recode(pixels, ".jpg", int(rng.integers(30, 80)))


def resampled(pixels: Pixels, factor: float) -> Pixels:
    """Down by *factor* and up again."""
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
