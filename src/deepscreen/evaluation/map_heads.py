"""Patch heads fitted without a fold of sources and without a group of makers, from moments that are added as needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import LinearHead
from deepscreen.training.forged_features import TWIN
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.patch_ridge import FoldMoments, fit_patches
from deepscreen.training.view_fit import PATCH_RIDGE, ReadViews, collect, gather_moments

# Makers that work alike are held out together.
GROUPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pasted": frozenset({"splice", "poisson_splice", "swap", "poisson_swap"}),
        "repainted": frozenset({"diffusion_inpaint", "texture_inpaint", "resynthesis", "regenerated"}),
        "moved": frozenset({"copy_move", "retouch", "new_expression", "smoothed"}),
        "self": frozenset({"self_splice", "self_blend"}),
    }
)
LABELLED, FITTED_BLENDS, TWINS = "labelled", "fitted blends", "twins"
AS_FITTED = frozenset({LABELLED, FITTED_BLENDS})  # what `deepscreen fit image` teaches patches with
N_FOLDS = 3


@dataclass(frozen=True, slots=True, repr=False)
class Taught:
    """Patch moments by what they come from and by fold."""

    moments: Mapping[str, Mapping[int, FoldMoments]]

    def head(self, parts: Collection[str], fold: int | None) -> LinearHead:
        """The patch head on *parts*, without *fold*; ``None``: on all."""
        chosen = [m for part in sorted(parts) for k, m in self.moments.get(part, {}).items() if k != fold]
        return fit_patches(chosen, ridge=PATCH_RIDGE)


def with_makers(held_out: str | None) -> frozenset[str]:
    """The parts of a fit with all makers but the group *held_out*. Fitted blends are of the makers in "self"."""
    parts = {LABELLED, TWINS, *GROUPS} - {held_out}
    return frozenset(parts if held_out == "self" else parts | {FITTED_BLENDS})


def part_of(variant: str) -> str:
    """What a view's variant comes from."""
    if variant in ("base", "laundered"):
        return LABELLED
    if variant == TWIN:
        return TWINS
    return next((group for group, makers in GROUPS.items() if variant in makers), FITTED_BLENDS)


def teach(
    files: Sequence[LabelledFile],
    folds: NDArray[np.int64],
    subject: str,
    read: ReadViews,
    hosts: Sequence[LabelledFile],
    made: ReadViews,
    *,
    seed: int,
) -> Taught:
    """Moments of the views of *files*, and of what was made of *hosts*, which are among them."""
    fold_by_key = {file.key: int(fold) for file, fold in zip(files, folds, strict=True)}
    host_folds = np.array([fold_by_key[host.key] for host in hosts])
    moments: dict[str, dict[int, FoldMoments]] = {}
    for own, own_folds, source in ((files, folds, read), (hosts, host_folds, made)):
        rows = collect(own, own_folds, subject, source)
        for part in sorted({part_of(variant) for variant in rows.variants}):
            only = _only(source, part)
            moments[part] = gather_moments(own, own_folds, rows, subject, only, seed=seed)
    return Taught(moments)


def _only(read: ReadViews, part: str) -> Callable[[LabelledFile], list[ViewFeatures]]:
    return lambda file: [view for view in read(file) if part_of(view.variant) == part]
