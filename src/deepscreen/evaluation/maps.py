"""Heatmaps on manipulations by makers, and of sources, that their head was not fitted on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.patch_head import PatchHead
from deepscreen.detectors.views import whole_view
from deepscreen.evaluation.map_figures import ReadMap, by_maker, warmth
from deepscreen.training.image_features import ViewFeatures, load_pixels
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.map_fit import (
    FITTED_BLENDS,
    PARTS,
    UNTOUCHED,
    MapLessons,
    part_of,
    settled,
    untouched_views,
    warmest,
    without_group,
)
from deepscreen.training.view_fit import ReadViews
from deepscreen.training.view_geometry import to_grid

EXTERNAL = "external masks"
UNLIFTED = -np.inf  # a view's log-odds that lift no map


@dataclass(frozen=True, repr=False)
class MapData:
    """One subject's views of pictures in folds of whole sources; ``view_logits``: held-out, by key."""

    files: Sequence[LabelledFile]
    folds: NDArray[np.int64]
    subject: str
    views: ReadViews
    view_logits: Mapping[str, float]

    @cached_property
    def untouched(self) -> list[tuple[int, ViewFeatures]]:
        """Honest photographs as they are, and their folds."""
        pairs = zip(self.files, self.folds, strict=True)
        return [(int(fold), v) for file, fold in pairs for v in untouched_views(file, self.subject, self.views)]


def map_report(data: MapData, *, seed: int) -> dict[str, Any]:
    """Each maker by heads that saw nothing of its group nor of the source; photographs and masks from elsewhere by
    heads that saw all makers and nothing of the source."""
    lessons = MapLessons.of(data.files, data.folds, data.subject, data.views, seed=seed)
    heads = _settled_heads(data, lessons, PARTS)
    untouched = [heads[fold].heat(v.patches, data.view_logits[v.key]) for fold, v in data.untouched]
    report = by_maker(list(_made(data, lessons))) | {"untouched": warmth(untouched)}
    if data.subject == "whole":
        report[EXTERNAL] = by_maker(list(_external(data, heads)))
    return report


def external_mask(file: LabelledFile) -> NDArray[np.float32]:
    """The mask that came with a picture, on the grid of its whole view."""
    if file.mask_path is None:
        raise ValueError(f"{file.key}: has no mask")
    mask = np.where(load_pixels(file.mask_path).max(axis=2, keepdims=True) > 127, 255, 0).astype(np.uint8)
    share = whole_view(np.repeat(mask, 3, axis=2)).pixels[:, :, 0].astype(np.float32) / np.float32(255)
    return to_grid(share)


def _settled_heads(data: MapData, lessons: MapLessons, parts: Collection[str]) -> dict[int, PatchHead]:
    """By fold: fitted without it, and as low as honest photographs of the other folds ask for."""
    folds = [int(fold) for fold in np.unique(data.folds)]
    heads = {fold: lessons.head(parts, without_fold=fold) for fold in folds}
    peaks = [warmest(heads[fold].heat(view.patches, UNLIFTED)) for fold, view in data.untouched]
    logits = [data.view_logits[view.key] for _, view in data.untouched]
    own = np.array([fold for fold, _ in data.untouched])
    return {fold: settled(heads[fold], *(_others(values, own != fold) for values in (peaks, logits))) for fold in folds}


def _others(values: Sequence[float], chosen: NDArray[np.bool_]) -> FloatArray:
    return np.asarray(values, dtype=np.float64)[chosen]


def _made(data: MapData, lessons: MapLessons) -> Iterator[ReadMap]:
    heads: dict[str, dict[int, PatchHead]] = {}
    for file, fold in zip(data.files, data.folds, strict=True):
        for view in data.views(file) if file.label == 0 else ():
            group = part_of(view.variant)
            if view.subject != data.subject or view.mask is None or group in (FITTED_BLENDS, UNTOUCHED):
                continue
            if group not in heads:
                heads[group] = _settled_heads(data, lessons, without_group(group))
            yield ReadMap(view.variant, heads[group][int(fold)].heat(view.patches, UNLIFTED).ravel(), view.mask)


def _external(data: MapData, heads: Mapping[int, PatchHead]) -> Iterator[ReadMap]:
    for file, fold in zip(data.files, data.folds, strict=True):
        for view in data.views(file) if file.mask_path else ():
            if view.subject == data.subject and view.variant == "base":
                heat = heads[int(fold)].heat(view.patches, UNLIFTED)
                yield ReadMap(file.kind, heat.ravel(), external_mask(file))
