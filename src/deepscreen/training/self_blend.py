"""Self-blended faces and self-splices: forgeries made from real pictures, with their exact masks.

Source: Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022, section 3. Differs from the
source: the mask is the hull of YuNet's five landmarks and the outline that follows from them, not of 81 landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.launder import recode

BLEND_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
MAX_SHIFT = 0.03
Mask = NDArray[np.float32]  # (height, width) in [0, 1]; 1 = taken from the altered copy


@dataclass(frozen=True, slots=True, repr=False)
class Blend:
    """A forged picture and where it was forged."""

    pixels: Pixels
    mask: Mask


def self_blend(pixels: Pixels, landmarks_px: NDArray[np.float64], rng: np.random.Generator) -> Blend:
    """Blends an altered copy of a face into itself. ``landmarks_px``: (5, 2) eyes, nose, mouth corners."""
    mask = _deform(_face_mask(pixels.shape[:2], landmarks_px, rng), rng)
    face = float(np.ptp(landmarks_px, axis=0).max())
    mask = _feather(mask, face, rng) * float(rng.choice(BLEND_RATIOS))
    return _blend(pixels, mask, rng, shift_px=MAX_SHIFT * face * 2)


def self_splice(pixels: Pixels, rng: np.random.Generator) -> Blend:
    """Blends an altered, shifted copy of a picture into a random region (5 to 35 % of the area) of itself."""
    height, width = pixels.shape[:2]
    area = rng.uniform(0.05, 0.35) * height * width
    aspect = np.exp(rng.uniform(-0.6, 0.6))
    axes = np.sqrt(area / np.pi) * np.array([aspect, 1 / aspect])
    centre = rng.uniform(0.15, 0.85, 2) * (width, height)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(6, 14))))
    radii = rng.uniform(0.7, 1.1, len(angles))
    outline = centre + np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None] * axes
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [outline.round().astype(np.int32)], 1.0)
    mask = _feather(_deform(mask, rng), float(axes.max()) / 4, rng)
    return _blend(pixels, mask, rng, shift_px=float(axes.max()) * rng.choice([0.05, 1.0]))


def _blend(pixels: Pixels, mask: Mask, rng: np.random.Generator, *, shift_px: float) -> Blend:
    altered = _shift(_alter(pixels, rng), rng.uniform(-shift_px, shift_px, 2))
    base = pixels
    if rng.random() < 0.5 and shift_px < min(pixels.shape[:2]) / 10:
        base, altered = _alter(pixels, rng), _shift(pixels, rng.uniform(-shift_px, shift_px, 2))
    mixed = base + mask[:, :, None] * (altered.astype(np.float32) - base)
    return Blend(np.clip(np.rint(mixed), 0, 255).astype(np.uint8), mask)


def _face_mask(shape: tuple[int, ...], landmarks_px: NDArray[np.float64], rng: np.random.Generator) -> Mask:
    """Hull of the landmarks pushed outwards: brows to chin, cheek to cheek, or the inner face only."""
    centre = landmarks_px.mean(axis=0)
    eyes, mouth = landmarks_px[:2].mean(axis=0), landmarks_px[3:5].mean(axis=0)
    down = mouth - eyes
    brows = landmarks_px[:2] - rng.uniform(0.25, 0.7) * down
    chin = mouth + rng.uniform(0.2, 0.75) * down
    points = np.vstack([landmarks_px, brows, chin[None]])
    points = centre + (points - centre) * (1 + np.array([rng.uniform(0.15, 0.75), rng.uniform(0.0, 0.25)]))
    mask = np.zeros(shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.round().astype(np.int32)), 1.0)
    return mask


def _deform(mask: Mask, rng: np.random.Generator) -> Mask:
    """Elastic deformation by a smooth random field."""
    height, width = mask.shape
    reach = rng.uniform(0.01, 0.06) * max(height, width)
    field = rng.uniform(-1, 1, (2, 6, 6)).astype(np.float32) * np.float32(reach)
    dx, dy = (cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in field)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(mask, xs + dx, ys + dy, cv2.INTER_LINEAR), dtype=np.float32)


def _feather(mask: Mask, size_px: float, rng: np.random.Generator) -> Mask:
    sigma = max(0.5, rng.uniform(0.01, 0.15) * size_px)
    return np.asarray(np.clip(cv2.GaussianBlur(mask, (0, 0), sigma), 0, 1), dtype=np.float32)


def _shift(pixels: Pixels, offset_px: NDArray[np.float64]) -> Pixels:
    matrix = np.array([[1, 0, offset_px[0]], [0, 1, offset_px[1]]], dtype=np.float64)
    size = (pixels.shape[1], pixels.shape[0])
    return np.asarray(cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)


def _alter(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Colour and sharpness of a copy: what a generator or another camera would not match exactly."""
    gain = 1 + rng.uniform(-0.12, 0.12) + rng.uniform(-0.06, 0.06, 3)
    out = np.clip(pixels * gain + rng.uniform(-12, 12, 3), 0, 255).astype(np.uint8)
    kind = rng.integers(0, 4)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 2.0)), dtype=np.uint8)
    if kind == 1:
        soft = cv2.GaussianBlur(out, (0, 0), 1.5)
        return np.asarray(cv2.addWeighted(out, 1 + (amount := rng.uniform(0.3, 1.2)), soft, -amount, 0), dtype=np.uint8)
    if kind == 2:
        factor = rng.uniform(0.35, 0.8)
        small = cv2.resize(out, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(small, (out.shape[1], out.shape[0]), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
        )
    return recode(out, ".jpg", int(rng.integers(30, 80)))
