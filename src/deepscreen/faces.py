"""Locate, align and track faces; every crop keeps its way back to source pixels.

Detector: YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023) through OpenCV's ``FaceDetectorYN``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.halving import halved, halvings
from deepscreen.media.samples import Pixels

DETECT_LONG_SIDE_PX = 640  # 18 ms on two cores; finds faces down to about 1/40 of the long side
MIN_SHORT_SIDE_PX = 16  # of the picture after scaling; a strip of a few pixels would be scaled to none
MIN_CONFIDENCE = 0.7
NMS_THRESHOLD = 0.3
MAX_CANDIDATES = 200
# Crop of 1.35 x the larger box side: hairline, chin and the blending border are inside.
CROP_SCALE = 1.35
TRACK_MIN_IOU = 0.3
TRACK_MAX_GAP_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Face:
    """A located face in source pixels: box, five landmarks (eyes, nose, mouth corners), confidence in [0, 1]."""

    box_xyxy_px: tuple[float, float, float, float]
    landmarks_px: tuple[tuple[float, float], ...]
    confidence: float

    @property
    def size_px(self) -> float:
        """The larger side of the box."""
        x0, y0, x1, y1 = self.box_xyxy_px
        return max(x1 - x0, y1 - y0)


@dataclass(frozen=True, slots=True, repr=False)
class FaceCrop:
    """A square, upright crop. ``to_source`` (2, 3) maps (u, v, 1), u and v in [0, 1], to source pixels."""

    pixels: Pixels
    to_source: NDArray[np.float64]


class FaceLocator:
    """Finds faces in pictures of any size. Not safe for use by several threads at once: make one per thread."""

    def __init__(self, onnx_path: Path) -> None:
        self._net = cv2.FaceDetectorYN.create(
            str(onnx_path), "", (320, 320), MIN_CONFIDENCE, NMS_THRESHOLD, MAX_CANDIDATES
        )

    def locate(self, pixels: Pixels, *, max_faces: int) -> tuple[Face, ...]:
        """Up to *max_faces* faces, largest first. ``pixels``: uint8 RGB (height, width, 3)."""
        height, width = pixels.shape[:2]
        scale = min(1.0, DETECT_LONG_SIDE_PX / max(height, width))
        if min(height, width) * scale < MIN_SHORT_SIDE_PX:
            return ()
        times = halvings(max(height, width), DETECT_LONG_SIDE_PX)
        small = halved(pixels, times)
        height, width = (side << times for side in small.shape[:2])
        scale = min(1.0, DETECT_LONG_SIDE_PX / max(small.shape))
        if scale < 1:
            small = np.asarray(
                cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8
            )
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._net.detect(np.ascontiguousarray(small[:, :, ::-1]))
        faces = [] if rows is None else [_face_from_row(row, small.shape, (height, width)) for row in rows]
        return tuple(sorted(faces, key=lambda f: (-f.size_px, f.box_xyxy_px))[:max_faces])


def _face_from_row(row: NDArray[np.float32], small_shape: tuple[int, ...], shape: tuple[int, int]) -> Face:
    """YuNet's row is x, y, w, h, five (x, y) landmarks, confidence, in pixels of the resized picture."""
    fx, fy = shape[1] / small_shape[1], shape[0] / small_shape[0]
    x, y, w, h = (float(v) for v in row[:4])
    points = tuple((float(px) * fx, float(py) * fy) for px, py in row[4:14].reshape(5, 2))
    return Face((x * fx, y * fy, (x + w) * fx, (y + h) * fy), points, float(row[14]))


def crop_face(pixels: Pixels, face: Face, *, size_px: int) -> FaceCrop:
    """The face with level eyes in a square of *size_px*; outside the picture the border is repeated."""
    right_eye, left_eye = np.array(face.landmarks_px[0]), np.array(face.landmarks_px[1])
    across = left_eye - right_eye
    angle = float(np.arctan2(across[1], across[0])) if np.hypot(*across) > 1 else 0.0
    x0, y0, x1, y1 = face.box_xyxy_px
    side = face.size_px * CROP_SCALE
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    u_axis = side * np.array([np.cos(angle), np.sin(angle)])
    v_axis = side * np.array([-np.sin(angle), np.cos(angle)])
    to_source = np.column_stack([u_axis, v_axis, centre - (u_axis + v_axis) / 2])
    return FaceCrop(_warp_square(pixels, to_source, side, size_px), to_source)


def _warp_square(pixels: Pixels, to_source: NDArray[np.float64], side_px: float, size_px: int) -> Pixels:
    """Samples the square; a face larger than the crop is shrunk by area first, since a warp alone would alias."""
    times = halvings(side_px, size_px)
    if times:
        pixels, to_source = _halved_neighbourhood(pixels, to_source, times)
    step = to_source[:, :2] / size_px
    # Pixel centres: crop pixel i covers u = (i + 0.5) / size, source pixel j covers j + 0.5.
    offset = to_source[:, 2] + step @ np.array([0.5, 0.5]) - 0.5
    matrix = np.column_stack([step, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(pixels, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def _halved_neighbourhood(
    pixels: Pixels, to_source: NDArray[np.float64], times: int
) -> tuple[Pixels, NDArray[np.float64]]:
    """Only the part around the square, halved *times* times: a large picture is not resized for one face."""
    corners = to_source @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=np.float64)
    height, width = pixels.shape[:2]
    left, top = (
        int(np.clip(v, 0, limit - 1)) for v, limit in zip(np.floor(corners.min(axis=1)), (width, height), strict=True)
    )
    right, bottom = (
        int(np.clip(v, low + 1, limit))
        for v, low, limit in zip(np.ceil(corners.max(axis=1)), (left, top), (width, height), strict=True)
    )
    small = halved(pixels[top:bottom, left:right], times)
    moved = to_source.copy()
    moved[:, 2] -= (left, top)
    return small, moved / (1 << times)


def intersection_over_union(a: Face, b: Face) -> float:
    """IoU of two boxes, in [0, 1]."""
    ax0, ay0, ax1, ay1 = a.box_xyxy_px
    bx0, by0, bx1, by1 = b.box_xyxy_px
    inner = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - inner
    return inner / union if union > 0 else 0.0


class FaceTracker:
    """Joins faces of successive frames into tracks by greedy IoU; a track ends after ``TRACK_MAX_GAP_SECONDS``."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Face, float]] = {}
        self._next_id = 0

    def assign(self, faces: tuple[Face, ...], pts_seconds: float) -> tuple[int, ...]:
        """Track ids for *faces*, in their order. Call with frames in order of time."""
        self._last = {i: v for i, v in self._last.items() if pts_seconds - v[1] <= TRACK_MAX_GAP_SECONDS}
        pairs = sorted(
            (
                (intersection_over_union(face, old), k, i)
                for k, face in enumerate(faces)
                for i, (old, _) in self._last.items()
            ),
            reverse=True,
        )
        ids: dict[int, int] = {}
        for iou, k, track in pairs:
            if iou >= TRACK_MIN_IOU and k not in ids and track not in ids.values():
                ids[k] = track
        for k in range(len(faces)):
            if k not in ids:
                ids[k] = self._next_id
                self._next_id += 1
        self._last.update({ids[k]: (face, pts_seconds) for k, face in enumerate(faces)})
        return tuple(ids[k] for k in range(len(faces)))
