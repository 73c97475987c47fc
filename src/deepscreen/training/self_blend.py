"""Self-blended faces and self-splices: forgeries made from one real picture, with their exact masks.

Source: Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022, section 3. Differs from the
source: the mask is the hull of YuNet's five landmarks and the outline that follows from them, not of 81 landmarks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.makers.parts import Blend, Mask, altered, composite, deformed, feathered, shifted

BLEND_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
MAX_SHIFT = 0.03
SPLICE_SHARE = (0.05, 0.35)  # of a picture's area


def self_blend(pixels: Pixels, landmarks_px: NDArray[np.float64], rng: np.random.Generator) -> Blend:
    """Blends an altered copy of a face into itself. ``landmarks_px``: (5, 2) eyes, nose, mouth corners."""
    mask = face_region(pixels.shape, landmarks_px, rng)
    face = float(np.ptp(landmarks_px, axis=0).max())
    mask = feathered(mask, max(0.5, rng.uniform(0.01, 0.15) * face)) * np.float32(rng.choice(BLEND_RATIOS))
    return _blend(pixels, mask, rng, shift_px=MAX_SHIFT * face * 2)


def self_splice(pixels: Pixels, rng: np.random.Generator) -> Blend:
    """Blends an altered, shifted copy of a picture into a random region (5 to 35 % of the area) of itself."""
    height, width = pixels.shape[:2]
    area = rng.uniform(*SPLICE_SHARE) * height * width
    aspect = np.exp(rng.uniform(-0.6, 0.6))
    axes = np.sqrt(area / np.pi) * np.array([aspect, 1 / aspect])
    centre = rng.uniform(0.15, 0.85, 2) * (width, height)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(6, 14))))
    radii = rng.uniform(0.7, 1.1, len(angles))
    outline = centre + np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None] * axes
    mask = np.zeros((height, width), np.float32)
    cv2.fillPoly(mask, [outline.round().astype(np.int32)], 1.0)
    mask = deformed(mask, rng)
    mask = feathered(mask, max(0.5, rng.uniform(0.01, 0.15) * float(axes.max()) / 4))
    return _blend(pixels, mask, rng, shift_px=float(axes.max()) * rng.choice([0.05, 1.0]))


def face_region(shape: tuple[int, ...], landmarks_px: NDArray[np.float64], rng: np.random.Generator) -> Mask:
    """Hull of the landmarks pushed outwards, deformed: brows to chin, cheek to cheek, or the inner face only."""
    centre = landmarks_px.mean(axis=0)
    eyes, mouth = landmarks_px[:2].mean(axis=0), landmarks_px[3:5].mean(axis=0)
    down = mouth - eyes
    brows = landmarks_px[:2] - rng.uniform(0.25, 0.7) * down
    chin = mouth + rng.uniform(0.2, 0.75) * down
    points = np.vstack([landmarks_px, brows, chin[None]])
    points = centre + (points - centre) * (1 + np.array([rng.uniform(0.15, 0.75), rng.uniform(0.0, 0.25)]))
    mask = np.zeros(shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.round().astype(np.int32)), 1.0)
    return deformed(mask, rng)


def _blend(pixels: Pixels, mask: Mask, rng: np.random.Generator, *, shift_px: float) -> Blend:
    changed = shifted(altered(pixels, rng), rng.uniform(-shift_px, shift_px, 2))
    base = pixels
    if rng.random() < 0.5 and shift_px < min(pixels.shape[:2]) / 10:
        base, changed = altered(pixels, rng), shifted(pixels, rng.uniform(-shift_px, shift_px, 2))
    return composite(base, changed, mask)
