"""Where things lie: a face's surroundings while it is forged, the crop within, and masks on the patch grid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.views import VIEW_PX, whole_view
from deepscreen.faces import CROP_SCALE, Face, crop_face
from deepscreen.media.samples import Pixels

PATCH_GRID = 14
NEIGHBOURHOOD = 1.5  # of the crop side: what is kept around a face while it is blended and laundered
NEIGHBOURHOOD_MAX_PX = 640


def neighbourhood(pixels: Pixels, face: Face) -> Pixels:
    """The aligned square around a face, wider than its crop, at most 640 px: room to blend and to launder."""
    side = int(min(NEIGHBOURHOOD_MAX_PX, max(VIEW_PX, round(face.size_px * CROP_SCALE * NEIGHBOURHOOD))))
    x0, y0, x1, y1 = face.box_xyxy_px
    cx, cy, half = (x0 + x1) / 2, (y0 + y1) / 2, face.size_px * NEIGHBOURHOOD / 2
    wide = Face((cx - half, cy - half, cx + half, cy + half), face.landmarks_px, face.confidence)
    return crop_face(pixels, wide, size_px=side).pixels


def inner(around: Pixels) -> Pixels:
    """The crop that a detector would see, from the middle of a neighbourhood of any size."""
    size = around.shape[0]
    margin = round(size * (1 - 1 / NEIGHBOURHOOD) / 2)
    return whole_view(np.ascontiguousarray(around[margin : size - margin, margin : size - margin])).pixels


def landmarks_in_neighbourhood(face: Face, size_px: int) -> NDArray[np.float64]:
    """Landmarks in pixels of ``neighbourhood``: the inverse of its affine map."""
    points = np.array(face.landmarks_px)
    right_eye, left_eye = points[0], points[1]
    across = left_eye - right_eye
    angle = float(np.arctan2(across[1], across[0])) if np.hypot(*across) > 1 else 0.0
    x0, y0, x1, y1 = face.box_xyxy_px
    offset = points - ((x0 + x1) / 2, (y0 + y1) / 2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    side = face.size_px * CROP_SCALE * NEIGHBOURHOOD
    return np.asarray((offset @ turn.T / side + 0.5) * size_px, dtype=np.float64)


def bounded(pixels: Pixels, max_side_px: int = 768) -> Pixels:
    """Large pictures are spliced at a bounded size, to keep fitting quick."""
    scale = max_side_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def to_grid(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of a (224, 224) mask over each of the 14 x 14 patches, flattened."""
    cell = VIEW_PX // PATCH_GRID
    means = mask.reshape(PATCH_GRID, cell, PATCH_GRID, cell).mean(axis=(1, 3))
    return np.asarray(means.ravel(), dtype=np.float32)
