"""Makers of manipulated faces, on the aligned neighbourhood of a face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.makers.parts import Blend, Mask, composite, feathered, processed
from deepscreen.training.makers.resynthesis import cloned, through_a_narrow_code
from deepscreen.training.self_blend import face_region, self_blend


@dataclass(frozen=True, slots=True, repr=False)
class FaceHost:
    """The surroundings of one face. ``landmarks_px``: (5, 2) eyes, nose, mouth corners, in its pixels."""

    pixels: Pixels
    landmarks_px: NDArray[np.float64]

    @property
    def face_px(self) -> float:
        """The longer side of the box around the landmarks."""
        return float(np.ptp(self.landmarks_px, axis=0).max())


FaceMaker = Callable[[FaceHost, FaceHost, np.random.Generator], Blend]


def self_blended(host: FaceHost, _donor: FaceHost, rng: np.random.Generator) -> Blend:
    """The face blended with an altered copy of itself."""
    return self_blend(host.pixels, host.landmarks_px, rng)


def swapped(host: FaceHost, donor: FaceHost, rng: np.random.Generator) -> Blend:
    """Another person's face, aligned by the landmarks, in the colours of this one, with a soft edge."""
    region = face_region(host.pixels.shape, host.landmarks_px, rng)
    other = _recoloured(_aligned(donor, host), host.pixels, region)
    if rng.random() < 0.5:
        other = processed(other, rng)
    return composite(host.pixels, other, feathered(region, rng.uniform(0.02, 0.12) * host.face_px))


def poisson_swapped(host: FaceHost, donor: FaceHost, rng: np.random.Generator) -> Blend:
    """Another person's face, aligned by the landmarks and cloned seamlessly."""
    region = face_region(host.pixels.shape, host.landmarks_px, rng)
    region = (region > 0.5).astype(np.float32)
    return Blend(cloned(host.pixels, _aligned(donor, host), region), region)


def new_expression(host: FaceHost, _donor: FaceHost, rng: np.random.Generator) -> Blend:
    """Mouth, or eyes and brows, pulled another way, as reenactment does; the mask is what moved."""
    pull = np.zeros(host.pixels.shape[:2], np.float32)
    chosen = host.landmarks_px[3:5] if rng.random() < 0.6 else host.landmarks_px[:2]
    span = float(np.hypot(*(chosen[1] - chosen[0])))
    centre = chosen.mean(axis=0)
    axes = (span * rng.uniform(0.7, 1.0), span * rng.uniform(0.45, 0.7))
    cv2.ellipse(pull, (tuple(centre.tolist()), (2 * axes[0], 2 * axes[1]), 0.0), 1.0, -1)
    mask = feathered(pull, span * 0.12)
    angle, reach = rng.uniform(0, 2 * np.pi), span * rng.uniform(0.1, 0.3)
    moved = _pulled(host.pixels, mask * np.float32(reach), angle)
    return composite(host.pixels, processed(moved, rng) if rng.random() < 0.5 else moved, mask)


def regenerated(host: FaceHost, _donor: FaceHost, rng: np.random.Generator) -> Blend:
    """The face through a narrow code and back, as an autoencoder that repaints it leaves it."""
    region = feathered(face_region(host.pixels.shape, host.landmarks_px, rng), rng.uniform(0.02, 0.12) * host.face_px)
    return composite(host.pixels, through_a_narrow_code(host.pixels, int(rng.integers(5, 20))), region)


def smoothed(host: FaceHost, _donor: FaceHost, rng: np.random.Generator) -> Blend:
    """Skin smoothed as beauty filters do."""
    region = feathered(face_region(host.pixels.shape, host.landmarks_px, rng), 0.1 * host.face_px)
    smooth = cv2.bilateralFilter(host.pixels, 9, float(rng.uniform(25, 80)), float(rng.uniform(4, 9)))
    return composite(host.pixels, np.asarray(smooth, np.uint8), region)


FACE_MAKERS: Mapping[str, FaceMaker] = {
    "self_blend": self_blended,
    "swap": swapped,
    "poisson_swap": poisson_swapped,
    "new_expression": new_expression,
    "regenerated": regenerated,
    "smoothed": smoothed,
}


def _aligned(donor: FaceHost, host: FaceHost) -> Pixels:
    """The donor's surroundings moved so that its landmarks fall on the host's, as well as turning and scaling can."""
    matrix, _ = cv2.estimateAffinePartial2D(donor.landmarks_px, host.landmarks_px, method=cv2.LMEDS)
    if matrix is None:
        raise ValueError("landmarks: want five different points, got ones that no similarity fits")
    size = (host.pixels.shape[1], host.pixels.shape[0])
    moved = cv2.warpAffine(donor.pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def _pulled(pixels: Pixels, reach_px: Mask, angle: float) -> Pixels:
    """Each pixel taken from *reach_px* away in the direction of *angle* (radians)."""
    height, width = pixels.shape[:2]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    dx, dy = reach_px * np.float32(np.cos(angle)), reach_px * np.float32(np.sin(angle))
    moved = cv2.remap(pixels, xs + dx, ys + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def _recoloured(pixels: Pixels, like: Pixels, region: Mask) -> Pixels:
    """*pixels* with the mean and spread that *like* has in the region, channel by channel of Lab.

    Source: Reinhard et al., "Color transfer between images", 2001, in CIE Lab.
    """
    lab, target = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(np.float32) for p in (pixels, like))
    inside = region > 0.5
    mean, spread = lab[inside].mean(axis=0), lab[inside].std(axis=0) + 1e-3
    gain = np.clip(target[inside].std(axis=0) / spread, 0.5, 2.0)
    matched = (lab - mean) * gain + target[inside].mean(axis=0)
    rgb = cv2.cvtColor(np.clip(np.rint(matched), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return np.asarray(rgb, dtype=np.uint8)
