"""Makers of local manipulations of whole pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from deepscreen.media.samples import Pixels
from deepscreen.training.makers.parts import (
    Blend,
    composite,
    feathered,
    processed,
    random_region,
)
from deepscreen.training.makers.resynthesis import cloned, filled_from_elsewhere, through_a_narrow_code
from deepscreen.training.self_blend import self_splice

SceneMaker = Callable[[Pixels, Pixels, np.random.Generator], Blend]
HARD_EDGE_PX = (0.3, 2.0)


def splice(pixels: Pixels, donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region of another picture, pasted with a nearly hard edge."""
    mask = feathered(random_region(pixels.shape, rng), rng.uniform(*HARD_EDGE_PX))
    return composite(pixels, _covering(donor, pixels.shape, rng), mask)


def poisson_splice(pixels: Pixels, donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region of another picture whose gradients are continued into this one.

    Source: Perez, Gangnet and Blake, "Poisson image editing", 2003.
    """
    region = random_region(pixels.shape, rng)
    return Blend(cloned(pixels, _covering(donor, pixels.shape, rng), region), region)


def diffusion_inpaint(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region removed and filled smoothly from its edge, now and then with grain on it.

    Source: Telea, 2004, and Bertalmio et al., "Navier-Stokes, fluid dynamics, and image and video inpainting", 2001.
    """
    mask = random_region(pixels.shape, rng)
    how = cv2.INPAINT_TELEA if rng.random() < 0.5 else cv2.INPAINT_NS
    filled = cv2.inpaint(pixels, (mask > 0.5).astype(np.uint8), float(rng.uniform(3, 7)), how)
    grain = rng.normal(0, rng.choice([0.0, 2.0, 5.0]), pixels.shape)
    return composite(pixels, np.clip(filled + grain, 0, 255).astype(np.uint8), mask)


def texture_inpaint(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region removed and filled with pieces of the rest of the picture."""
    mask = random_region(pixels.shape, rng)
    return Blend(filled_from_elsewhere(pixels, mask), mask)


def copy_move(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region covered with another part of the same picture, turned and scaled."""
    height, width = pixels.shape[:2]
    region = random_region(pixels.shape, rng)
    scale = rng.uniform(0.7, 1.4)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-40, 40), scale)
    matrix = np.asarray(turn, dtype=np.float64)
    matrix[:, 2] += rng.choice([-1, 1], 2) * rng.uniform(0.2, 0.5, 2) * (width, height)
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return composite(pixels, np.asarray(moved, np.uint8), feathered(region, rng.uniform(*HARD_EDGE_PX)))


def retouch(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region blurred, sharpened, resampled, recoded or smoothed in place: a mismatch of grain alone."""
    mask = feathered(random_region(pixels.shape, rng), rng.uniform(*HARD_EDGE_PX))
    if rng.random() < 0.3:
        smooth = cv2.bilateralFilter(pixels, 7, float(rng.uniform(20, 60)), 5)
        return composite(pixels, np.asarray(smooth, np.uint8), mask)
    return composite(pixels, processed(pixels, rng), mask)


def resynthesis(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region through a narrow code and back, as a generator that repaints it leaves it."""
    mask = feathered(random_region(pixels.shape, rng), rng.uniform(1.0, 6.0))
    return composite(pixels, through_a_narrow_code(pixels, int(rng.integers(6, 25))), mask)


def self_spliced(pixels: Pixels, _donor: Pixels, rng: np.random.Generator) -> Blend:
    """A region covered with an altered, shifted copy of the picture."""
    return self_splice(pixels, rng)


SCENE_MAKERS: Mapping[str, SceneMaker] = {
    "self_splice": self_spliced,
    "splice": splice,
    "poisson_splice": poisson_splice,
    "diffusion_inpaint": diffusion_inpaint,
    "texture_inpaint": texture_inpaint,
    "copy_move": copy_move,
    "retouch": retouch,
    "resynthesis": resynthesis,
}


def _covering(donor: Pixels, shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """A part of *donor*, at a random scale, as large as a picture of *shape*."""
    height, width = shape[:2]
    scale = max(height / donor.shape[0], width / donor.shape[1]) * rng.uniform(1.0, 1.6)
    size = (max(width, round(donor.shape[1] * scale)), max(height, round(donor.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = np.asarray(cv2.resize(donor, size, interpolation=how), dtype=np.uint8)
    top, left = (int(rng.integers(0, room + 1)) for room in (large.shape[0] - height, large.shape[1] - width))
    return np.ascontiguousarray(large[top : top + height, left : left + width])
