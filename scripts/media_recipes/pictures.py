"""Manipulated pictures: a face swap, a self-blended face, a splice. All arrays are uint8 RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.faces import Face

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]


def face_mask(shape: tuple[int, ...], face: Face) -> Mask:
    """255 inside an oval from above the brows to the chin, turned as the face is turned."""
    right_eye, left_eye, _, right_mouth, left_mouth = (np.array(point) for point in face.landmarks_px)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye, mouth - eyes
    centre = eyes + 0.48 * down
    axes = (int(1.02 * np.linalg.norm(across)), int(1.12 * np.linalg.norm(down)))
    angle_degrees = float(np.degrees(np.arctan2(across[1], across[0])))
    mask = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(mask, (int(centre[0]), int(centre[1])), axes, angle_degrees, 0, 360, 255, -1)
    return mask


def swap_face(target: Pixels, target_face: Face, donor: Pixels, donor_face: Face) -> Pixels:
    """The donor's inner face, laid over the target's by its five landmarks, in the target's colours."""
    to_target, _ = cv2.estimateAffine2D(
        np.array(donor_face.landmarks_px, np.float32), np.array(target_face.landmarks_px, np.float32), method=cv2.LMEDS
    )
    size = (target.shape[1], target.shape[0])
    moved = _pixels(cv2.warpAffine(donor, to_target, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE))
    donor_mask = cv2.warpAffine(face_mask(donor.shape, donor_face), to_target, size, flags=cv2.INTER_LINEAR)
    mask = _pixels(np.minimum(donor_mask, face_mask(target.shape, target_face)))
    return _blend(target, _match_colours(moved, target, mask), mask, feather_px=0.12 * target_face.size_px)


def self_blend(picture: Pixels, face: Face) -> Pixels:
    """The face blended over itself after a slight shift, scaling and change of tone.

    Source: Shiohara & Yamasaki, "Detecting Deepfakes with Self-Blended Images" (2022), section 3; differs in that the
    change is fixed and the mask is an oval.
    """
    centre = np.mean(face.landmarks_px, axis=0)
    shift_px = 0.02 * face.size_px
    change = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), 1.5, 1.05)
    change[:, 2] += np.array((shift_px, shift_px / 2))
    size = (picture.shape[1], picture.shape[0])
    donor = cv2.warpAffine(picture, change, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    donor = cv2.GaussianBlur(donor, (0, 0), 0.8)
    toned = np.clip(donor.astype(np.float32) * (1.05, 1.0, 0.95) + 6.0, 0, 255).astype(np.uint8)
    return _blend(picture, toned, face_mask(picture.shape, face), feather_px=0.06 * face.size_px)


def splice(
    target: Pixels, donor: Pixels, box_xywh: tuple[int, int, int, int], *, scale: float, to: tuple[int, int]
) -> Pixels:
    """The object inside *box_xywh* of the donor, cut out with GrabCut, scaled and laid over the target around *to*."""
    mask = np.zeros(donor.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(donor, mask, box_xywh, *models, 6, cv2.GC_INIT_WITH_RECT)
    x, y, width, height = box_xywh
    cut = np.where(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)), 255, 0).astype(np.uint8)[y : y + height, x : x + width]
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(donor[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    small_cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    left, top = to[0] - size[0] // 2, to[1] - size[1] // 2
    layer, alpha = target.copy(), np.zeros(target.shape[:2], np.uint8)
    layer[top : top + size[1], left : left + size[0]] = small
    alpha[top : top + size[1], left : left + size[0]] = small_cut
    return _blend(target, layer, alpha, feather_px=2.0)


def resize_long_side(picture: Pixels, long_side_px: int) -> Pixels:
    """The picture scaled down so that its longer side is *long_side_px*."""
    scale = long_side_px / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _match_colours(donor: Pixels, target: Pixels, mask: Mask) -> Pixels:
    """Mean and spread of the donor's Lab channels set to the target's, inside the mask (Reinhard et al. 2001)."""
    donor_lab, target_lab = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (donor, target))
    inside = mask > 127
    have, want = donor_lab[inside], target_lab[inside]
    matched = (donor_lab - have.mean(0)) * (want.std(0) / np.maximum(have.std(0), 1.0)) + want.mean(0)
    return _pixels(cv2.cvtColor(_pixels(np.clip(matched, 0, 255)), cv2.COLOR_LAB2RGB))


def _blend(base: Pixels, layer: Pixels, mask: Mask, *, feather_px: float) -> Pixels:
    alpha = cv2.GaussianBlur(mask, (0, 0), max(feather_px / 2, 0.5)).astype(np.float32)[:, :, None] / 255
    return _pixels(np.rint(base * (1 - alpha) + layer * alpha))


def _pixels(values: NDArray[Any]) -> Pixels:
    pixels: Pixels = np.asarray(values, np.uint8)
    return pixels
