"""Saliency maps laid on the source pixels that they speak of, with a fixed scale, a legend and faithfulness figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.contract import SaliencyMap, SpectrogramSaliency
from deepscreen.evidence.axes import clock
from deepscreen.evidence.legend import MASKING_NOTE, draw_legend, faithfulness_note
from deepscreen.evidence.lettering import INK, PAPER, Sheet, text_width
from deepscreen.evidence.png import encode_png
from deepscreen.evidence.resize import Scaled, fit
from deepscreen.evidence.scale import blend, level_of_zero, to_levels
from deepscreen.media.samples import Pixels

# A picture smaller than this is shown with each pixel as a block, or nothing could be told from it.
COMFORTABLE_SIDE_PX = 480
MAX_FINE_SIDE_PX = 2048
MAX_NOTES = 6
SUBPIXEL_BITS = 4
TAG_PX = 15


@dataclass(frozen=True, slots=True, repr=False)
class Overlay:
    """A scaled picture under its maps; source position x scale = position in ``pixels``."""

    pixels: Pixels
    scale_x: float
    scale_y: float


def is_shown(saliency: SaliencyMap | SpectrogramSaliency) -> bool:
    """Whether the map may be shown: False for one that is no better than random, which is withheld."""
    return saliency.faithfulness.beats_random


def render_heatmap(pixels: Pixels, maps: Sequence[SaliencyMap], *, title: str, max_pixels: int) -> bytes:
    """PNG of the picture, scaled down to at most *max_pixels*, under its *maps*, with the legend strip below.

    The picture lies in the top left corner of the PNG. Where maps overlap, the later one is shown. Raises ValueError
    without maps, for a map that is withheld (see ``is_shown``), and for values or positions that are not finite.
    """
    shown = overlay(pixels, maps, max_pixels=max_pixels)
    legend = draw_legend(shown.pixels.shape[1], title=title, notes=_notes(maps))
    return encode_png(_above(shown.pixels, legend), photograph=True)


def overlay(pixels: Pixels, maps: Sequence[SaliencyMap], *, max_pixels: int) -> Overlay:
    """The picture under its *maps* with the outline of each mapped region; the part of the PNG above the legend."""
    _check(maps)
    base = _comfortable(pixels, max_pixels)
    levels = np.full(base.pixels.shape[:2], level_of_zero(), dtype=np.uint8)
    regions = [_to_canvas(saliency, base) for saliency in maps]
    for saliency, region in zip(maps, regions, strict=True):
        _lay(levels, saliency.values, region)
    painted = blend(base.pixels, levels)
    for number, region in enumerate(regions, start=1):
        _outline(painted, _corners(region))
        if len(regions) > 1:
            _tag(painted, _corners(region), str(number))
    return Overlay(painted, base.scale_x, base.scale_y)


def _check(maps: Sequence[SaliencyMap]) -> None:
    if not maps:
        raise ValueError("maps: want at least one map, got none; a picture without a map is no evidence")
    for saliency in maps:
        if not is_shown(saliency):
            raise ValueError("maps: a map that does not beat random is withheld; ask is_shown() before rendering")
        if saliency.values.ndim != 2 or 0 in saliency.values.shape or saliency.to_source.shape != (2, 3):
            got = f"{saliency.values.shape} and {saliency.to_source.shape}"
            raise ValueError(f"maps: want values (rows, cols) and to_source (2, 3), got {got}")
        if not (np.isfinite(saliency.values).all() and np.isfinite(saliency.to_source).all()):
            raise ValueError("maps: values and to_source must be finite numbers")
        if abs(np.linalg.det(saliency.to_source[:, :2])) < 1e-9:
            raise ValueError("maps: to_source maps the unit square to a region without area")


def _comfortable(pixels: Pixels, max_pixels: int) -> Scaled:
    """Scaled down to *max_pixels*; a small picture is enlarged by a whole factor within them."""
    height, width = pixels.shape[:2]
    factor = int(min(COMFORTABLE_SIDE_PX / max(height, width), (max_pixels / (height * width)) ** 0.5))
    if factor < 2:
        return fit(pixels, max_pixels=max_pixels)
    return Scaled(np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1), float(factor), float(factor))


def _to_canvas(saliency: SaliencyMap, base: Scaled) -> NDArray[np.float64]:
    return np.asarray(saliency.to_source * np.array([[base.scale_x], [base.scale_y]]), dtype=np.float64)


def _corners(region: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 2) corners of the unit square on the canvas: top left, top right, bottom right, bottom left."""
    return (region @ np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], dtype=np.float64)).T


def _lay(levels: NDArray[np.uint8], values: NDArray[np.float32], region: NDArray[np.float64]) -> None:
    """Writes *values* into the part of *levels* that *region* covers."""
    corners = _corners(region)
    limits = np.array([levels.shape[1], levels.shape[0]])
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, limits).astype(int)
    if right <= left or bottom <= top:
        return  # the face lies outside the picture
    fine = _upsampled(values, region)
    size = (int(right - left), int(bottom - top))
    matrix = _window_to_fine(region, fine.shape, (int(left), int(top)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(fine, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((size[1], size[0]), dtype=np.uint8)
    cv2.fillConvexPoly(inside, _fixed_point(corners - (left, top)), 1, shift=SUBPIXEL_BITS)
    window = levels[top:bottom, left:right]
    window[...] = np.where(inside > 0, warped, window)


def _upsampled(values: NDArray[np.float32], region: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The map as levels at about one value a canvas pixel: bicubic, without overshoot beyond the map's own values."""
    reach = np.clip(np.ceil(np.linalg.norm(region[:, :2], axis=0)), 1, MAX_FINE_SIDE_PX)
    size = (int(reach[0]), int(reach[1]))
    enlarged = size[0] >= values.shape[1] and size[1] >= values.shape[0]
    how = cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA
    fine = cv2.resize(np.ascontiguousarray(values, dtype=np.float32), size, interpolation=how)
    return to_levels(np.clip(fine, values.min(), values.max()))


def _window_to_fine(
    region: NDArray[np.float64], shape: tuple[int, ...], origin: tuple[int, int]
) -> NDArray[np.float64]:
    """Affine from the index of a window pixel to an index into the fine map; pixel i covers [i, i + 1)."""
    to_unit = np.linalg.inv(np.vstack([region, [0.0, 0.0, 1.0]]))[:2]
    to_fine = np.asarray(to_unit * np.array([[shape[1]], [shape[0]]]), dtype=np.float64)
    to_fine[:, 2] += to_fine[:, :2] @ (np.array(origin) + 0.5) - 0.5
    return to_fine


def _fixed_point(points: NDArray[np.float64], shift_px: float = -0.5) -> NDArray[np.int32]:
    """Edge positions as OpenCV draws them: in 1/16 pixel, where whole numbers are pixel centres."""
    far = np.clip(points + shift_px, -30_000, 30_000)
    return np.rint(far * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _outline(painted: Pixels, corners: NDArray[np.float64]) -> None:
    """A dark line inside a light one: visible on any picture. What covers the whole picture has its edge already."""
    if _is_whole(painted, corners):
        return
    for colour, width in ((PAPER, 3), (INK, 1)):
        cv2.polylines(painted, [_fixed_point(corners)], True, colour, width, cv2.LINE_AA, SUBPIXEL_BITS)


def _is_whole(painted: Pixels, corners: NDArray[np.float64]) -> bool:
    height, width = painted.shape[:2]
    edges = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    return bool(np.abs(corners - edges).max() <= 1.0)


def _tag(painted: Pixels, corners: NDArray[np.float64], text: str) -> None:
    """The map's number, at the corner of its region."""
    sheet = Sheet(text_width(text, TAG_PX) + 10, TAG_PX + 7, background=INK)
    sheet.text(sheet.width_px / 2, sheet.height_px / 2, text, size_px=TAG_PX, ink=PAPER, anchor="mm")
    tag = sheet.pixels()
    room = np.array([painted.shape[1] - tag.shape[1], painted.shape[0] - tag.shape[0]])
    if room.min() < 0:
        return
    left, top = np.clip(np.rint(corners[0]), 0, room).astype(int)
    painted[top : top + tag.shape[0], left : left + tag.shape[1]] = tag


def _notes(maps: Sequence[SaliencyMap]) -> list[str]:
    numbers = [f"{k} " if len(maps) > 1 else "" for k in range(1, len(maps) + 1)]
    lines = [faithfulness_note(number + _subject(m), m.faithfulness) for number, m in zip(numbers, maps, strict=True)]
    left_out = len(lines) - MAX_NOTES
    more = [f"… and {left_out} more: their figures are in the record"] if left_out > 0 else []
    return [MASKING_NOTE, *lines[:MAX_NOTES], *more]


def _subject(saliency: SaliencyMap) -> str:
    what = "face" if saliency.subject == "face" else "whole picture"
    return what if saliency.pts_seconds is None else f"{what} at {clock(saliency.pts_seconds, decimals=2)}"


def _above(picture: Pixels, legend: Pixels) -> Pixels:
    """One above the other on white, both from the left edge."""
    width = max(picture.shape[1], legend.shape[1])
    page = np.full((picture.shape[0] + legend.shape[0], width, 3), 255, dtype=np.uint8)
    page[: picture.shape[0], : picture.shape[1]] = picture
    page[picture.shape[0] :, : legend.shape[1]] = legend
    return page
