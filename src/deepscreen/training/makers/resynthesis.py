"""Regions made anew without a neural network: cloned seamlessly, filled by example, or squeezed through a code."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.media.samples import Pixels
from deepscreen.training.makers.parts import Mask

TILE_SHARE = 1 / 20  # of the longer side
CODE_BLOCK_PX, CODE_STEP_PX = 8, 4
COARSEST_PX = 16
SWEEPS = 24  # at each scale; the scale below has settled what is smooth
NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


def cloned(base: Pixels, other: Pixels, region: Mask) -> Pixels:
    """*base* with the gradients of *other* where ``region`` is above 0.5, and not a value changed elsewhere.

    Source: Perez, Gangnet and Blake, "Poisson image editing", 2003, section 2: the difference between both pictures on
    the region's edge is continued into it as a harmonic function. Differs from cv2.seamlessClone, which changes the
    whole box around the region: here the mask is exact.
    """
    inside = region > 0.5
    gap = np.where(inside[:, :, None], 0, base.astype(np.float32) - other)
    filled = other + _harmonic(gap, inside)
    return np.where(inside[:, :, None], np.clip(np.rint(filled), 0, 255).astype(np.uint8), base)


def _harmonic(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """*values* (height, width, 3) with what is inside replaced by a solution of Laplace's equation, coarse to fine."""
    height, width = inside.shape
    if min(height, width) > COARSEST_PX:
        size = ((width + 1) // 2, (height + 1) // 2)
        known = cv2.resize((~inside).astype(np.float32), size, interpolation=cv2.INTER_AREA)[:, :, None]
        sums = cv2.resize(np.where(inside[:, :, None], 0, values), size, interpolation=cv2.INTER_AREA)
        coarse = _harmonic(np.asarray(sums / np.maximum(known, 1e-6), np.float32), known[:, :, 0] < 1e-3)
        start = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        start = np.broadcast_to(values[~inside].mean(axis=0) if (~inside).any() else 0.0, values.shape)
    out = np.where(inside[:, :, None], start, values).astype(np.float32)
    for _ in range(SWEEPS):
        out[inside] = cv2.filter2D(out, -1, NEIGHBOURS, borderType=cv2.BORDER_REFLECT)[inside]
    return out


def filled_from_elsewhere(pixels: Pixels, mask: Mask) -> Pixels:
    """The masked region filled tile by tile, from its edge inwards, with what fits best from outside of it.

    Source: Criminisi, Perez and Toyama, "Region filling and object removal by exemplar-based inpainting", 2004.
    Differs from the source: tiles go by their distance to the edge alone. Unchanged where no whole tile lies outside.
    """
    out, known = pixels.copy(), mask < 0.5
    half = max(4, round(max(pixels.shape[:2]) * TILE_SHARE / 2))
    size = 2 * half + 1
    holes = cv2.filter2D(np.asarray(~known, np.float32), -1, np.ones((size, size), np.float32), anchor=(0, 0))
    allowed = holes[: 1 - size, : 1 - size] < 0.5
    if not allowed.any():
        return out
    while (centre := _next_centre(known, half)) is not None:
        window = np.s_[centre[0] - half : centre[0] + half + 1, centre[1] - half : centre[1] + half + 1]
        row, column = _best_match(pixels, out[window], known[window], allowed)
        found = pixels[row : row + size, column : column + size]
        out[window] = np.where(known[window][:, :, None], out[window], found)
        known[window] = True
    return out


def _next_centre(known: NDArray[np.bool_], half: int) -> tuple[int, int] | None:
    """The unknown pixel nearest to what is known, brought far enough inside for a whole tile around it."""
    if known.all():
        return None
    height, width = known.shape
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    distance[known] = np.inf
    row, column = np.unravel_index(int(distance.argmin()), known.shape)
    return int(np.clip(row, half, height - half - 1)), int(np.clip(column, half, width - half - 1))


def _best_match(pixels: Pixels, tile: Pixels, known: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> tuple[int, int]:
    """Top left corner of the tile of *pixels*, among those *allowed*, that is most like *tile* where that is known."""
    grey, wanted = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (pixels, tile))
    distance = cv2.matchTemplate(grey, wanted, cv2.TM_SQDIFF, mask=known.astype(np.float32))
    row, column = np.unravel_index(int(np.where(allowed, distance, np.inf).argmin()), allowed.shape)
    return int(row), int(column)


def through_a_narrow_code(pixels: Pixels, components: int) -> Pixels:
    """The picture as its own *components* main patterns of 8 x 8 pixels can show it: what a bottleneck leaves of it.

    Principal components of overlapping blocks, averaged where they overlap.
    """
    block, step = CODE_BLOCK_PX, CODE_STEP_PX
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, block), (0, block), (0, 0)), mode="reflect").astype(np.float32)
    rows, columns = range(0, height, step), range(0, width, step)
    blocks = np.stack([padded[r : r + block, c : c + block].ravel() for r in rows for c in columns])
    mean = blocks.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(blocks - mean, rowvar=False))
    basis = vectors[:, -components:].astype(np.float32)
    coded = (blocks - mean) @ basis @ basis.T + mean
    total, count = np.zeros_like(padded), np.zeros((*padded.shape[:2], 1), np.float32)
    for (r, c), values in zip(((r, c) for r in rows for c in columns), coded, strict=True):
        total[r : r + block, c : c + block] += values.reshape(block, block, 3)
        count[r : r + block, c : c + block] += 1
    return np.clip(np.rint(total[:height, :width] / count[:height, :width]), 0, 255).astype(np.uint8)
