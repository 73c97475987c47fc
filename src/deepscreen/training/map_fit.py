"""Fits the ``PatchHead`` of a subject on manipulations with masks, and sets how low it lies on honest photographs.

What teaches are bona fide pictures and what was made of them: a picture that was generated as a whole differs nowhere
from itself. Moments are kept by fold of sources and by group of makers, so that either can be held out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.patch_head import PatchHead, centred
from deepscreen.evidence.scale import WARM
from deepscreen.training.forged_features import TWIN
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.patch_ridge import FoldMoments, PatchMoments, fit_patches, patch_labels
from deepscreen.training.view_fit import LAUNDERED_WEIGHT, ReadViews

PATCH_RIDGE = 0.1
PATCHES_PER_VIEW = 64  # of 196, drawn by hash: neighbours say much the same
MOST_WARM_SHARE = 0.02  # of an untouched photograph
# Shares of held-out honest photographs that are to stay cold by their patches, and not to be lifted as a whole: both
# beyond the 95 % that are promised.
COLD_SHARE, NOT_LIFTED_SHARE = 0.965, 0.985

# Makers that work alike are held out together.
GROUPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pasted": frozenset({"splice", "poisson_splice", "swap", "poisson_swap"}),
        "repainted": frozenset({"diffusion_inpaint", "texture_inpaint", "resynthesis", "regenerated"}),
        "moved": frozenset({"copy_move", "retouch", "new_expression", "smoothed"}),
        "self": frozenset({"self_splice", "self_blend"}),
    }
)
FITTED_BLENDS, UNTOUCHED = "fitted blends", "untouched"  # blends are of the makers in "self"
PARTS = frozenset({*GROUPS, FITTED_BLENDS, UNTOUCHED})


@dataclass(frozen=True, slots=True, repr=False)
class MapLessons:
    """Moments by part and fold."""

    moments: Mapping[str, Mapping[int, FoldMoments]]

    @classmethod
    def of(
        cls, files: Sequence[LabelledFile], folds: NDArray[np.int64], subject: str, views: ReadViews, *, seed: int
    ) -> MapLessons:
        """From one pass over the *views* of the bona fide *files*: sources weigh alike."""
        moments: dict[str, dict[int, FoldMoments]] = {}
        bona_fide = [(file, int(fold)) for file, fold in zip(files, folds, strict=True) if file.label == 0]
        sources = [file.source for file, _ in bona_fide]
        for file, fold in bona_fide:
            for view in views(file):
                if view.subject != subject:
                    continue
                of_part = moments.setdefault(part_of(view.variant), {})
                weight = (LAUNDERED_WEIGHT if view.variant == "laundered" else 1.0) / sources.count(file.source)
                _add(of_part.setdefault(fold, _no_moments(view)), view, weight, seed)
        return cls(moments)

    def head(self, parts: Collection[str], *, without_fold: int | None = None) -> PatchHead:
        """Fitted on *parts*, calibrated as if every second patch were made and lifted by nothing; see ``settled``."""
        chosen = [m for part in sorted(parts) for k, m in self.moments.get(part, {}).items() if k != without_fold]
        head = fit_patches(chosen, ridge=PATCH_RIDGE)
        return PatchHead(head.coef / head.scale, head.intercept - float(head.mean @ (head.coef / head.scale)), np.inf)


def without_group(group: str) -> frozenset[str]:
    """The parts of a fit that never saw the makers of *group*."""
    return PARTS - ({group, FITTED_BLENDS} if group == "self" else {group})


def part_of(variant: str) -> str:
    """What a view's variant is of."""
    if variant in ("base", "laundered", TWIN) or variant.startswith("twin-"):
        return UNTOUCHED
    return next((group for group, makers in GROUPS.items() if variant in makers), FITTED_BLENDS)


def fit_map(
    files: Sequence[LabelledFile],
    folds: NDArray[np.int64],
    subject: str,
    views: ReadViews,
    honest_logits: FloatArray,
    *,
    seed: int,
) -> PatchHead:
    """The shipped head: on all makers and sources. *honest_logits*: held-out log-odds of bona fide views."""
    lessons = MapLessons.of(files, folds, subject, views, seed=seed)
    heads = {int(fold): lessons.head(PARTS, without_fold=int(fold)) for fold in np.unique(folds)}
    peaks = [
        warmest(heads[int(fold)].heat(view.patches, 0.0))
        for file, fold in zip(files, folds, strict=True)
        for view in untouched_views(file, subject, views)
    ]
    return settled(lessons.head(PARTS), np.array(peaks), honest_logits)


def untouched_views(file: LabelledFile, subject: str, views: ReadViews) -> Iterator[ViewFeatures]:
    """The view of a bona fide picture as it is."""
    if file.label == 0:
        yield from (view for view in views(file) if view.subject == subject and view.variant == "base")


def warmest(heat: FloatArray) -> float:
    """Of the patches of a photograph the hottest that has to be cold, if the photograph is to count as cold."""
    return float(np.sort(heat, axis=None)[-1 - int(MOST_WARM_SHARE * heat.size)])


def settled(head: PatchHead, peaks: Sequence[float] | FloatArray, honest_logits: FloatArray) -> PatchHead:
    """*head* so low that honest photographs stay cold. *peaks*: the ``warmest`` of views that were held out."""
    highest = float(np.quantile(np.asarray(peaks), COLD_SHARE))
    offset = head.offset - (log_odds_of(highest) - log_odds_of(WARM))
    return replace(head, offset=offset, lifted_from=float(np.quantile(honest_logits, NOT_LIFTED_SHARE)))


def log_odds_of(heat: float) -> float:
    """The log-odds of a patch of this heat, log(1 + odds)."""
    return float(np.log(np.expm1(heat)))


def _no_moments(view: ViewFeatures) -> FoldMoments:
    width = view.patches.shape[1]
    return {0: PatchMoments.empty(width), 1: PatchMoments.empty(width)}


def _add(moments: FoldMoments, view: ViewFeatures, weight: float, seed: int) -> None:
    labels = patch_labels(view.mask, view.label, len(view.patches))
    patches = centred(view.patches.astype(np.float32))
    rng = item_rng(f"{view.key}|{view.variant}", "patch-sample", seed)
    kept = rng.permutation(len(patches))[:PATCHES_PER_VIEW]
    for label in (0, 1):
        part = patches[kept[labels[kept] == label]]
        moments[label].add(part, weight * len(part) / len(kept), rng)
