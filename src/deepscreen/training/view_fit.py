"""Fits a ``ViewHead`` (class tokens, patches, pool) on cached views, with source-held-out logits for honest figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.view_head import ViewHead, pooled_parts
from deepscreen.evaluation.protocols import source_weights
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.launder import STRESSES
from deepscreen.training.patch_ridge import FoldMoments, PatchMoments, fit_patches, patch_labels
from deepscreen.training.weighted_logistic import fit_logistic

# What a laundered copy weighs beside its original. On development folds copies of full weight ordered clean pictures
# of unseen sources worse (AUC 0.855 against 0.866 without any); light ones did not (0.863), and half the size at
# JPEG 50 cost 0.10 instead of 0.15.
LAUNDERED_WEIGHT = 0.2
CLASS_L2 = 300.0  # chosen on development folds; figures on the release split never had a say
POOL_L2 = 1.0
PATCH_RIDGE = 0.1
PATCH_WIDTH = 2304
PATCHES_PER_VIEW = 64  # of 196, drawn by hash: neighbours say much the same
# Kinds of which every patch was generated; of the other forgeries only a mask tells which were.
WHOLLY_SYNTHETIC = frozenset(
    {
        "gan_face",
        "gan_general",
        "diffusion_face",
        "diffusion_general",
        "diffusion_video_frame",
        "autoregressive_general",
        "reenactment_talking_head",
    }
)
ReadViews = Callable[[LabelledFile], Iterable[ViewFeatures]]


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """Class tokens and bookkeeping of all views of one subject; patches stay in the cache."""

    files: list[LabelledFile]  # one a row
    variants: list[str]
    labels: NDArray[np.int64]
    classes: NDArray[np.float32]  # (n, 6 * 768)
    last_classes: NDArray[np.float32]  # (n, 768) of the last block: for the bare baseline only
    folds: NDArray[np.int64]
    weights: FloatArray

    @property
    def is_base(self) -> NDArray[np.bool_]:
        """Rows that are scored: the files as they are, one row a file."""
        return np.array([variant == "base" for variant in self.variants])

    @property
    def teaches_classes(self) -> NDArray[np.bool_]:
        """Rows that the class head learns from. Blends and splices teach patches, where their masks count; as a whole
        they cost the class head more on generated faces than they gave on swaps."""
        return np.array([variant in ("base", "laundered") for variant in self.variants])


@dataclass(frozen=True, slots=True, repr=False)
class HeldOut:
    """Source-held-out results of the base rows, in their order, and what the bare last-block probe gave."""

    files: list[LabelledFile]
    labels: NDArray[np.int64]
    spoof_logits: FloatArray
    probe_logits: FloatArray
    stressed_logits: Mapping[str, FloatArray] = field(default_factory=dict)  # by stress; NaN where no view was left


def collect(files: Sequence[LabelledFile], folds: NDArray[np.int64], subject: str, read: ReadViews) -> Rows:
    """All views of *subject*; ``folds[i]`` is the fold of ``files[i]``. Patches are let go file by file."""
    owners: list[LabelledFile] = []
    variants, labels, classes, last, row_folds = [], [], [], [], []
    for file, fold in zip(files, folds, strict=True):
        for view in read(file):
            if view.subject != subject:
                continue
            owners.append(file)
            variants.append(view.variant)
            labels.append(view.label)
            classes.append(view.classes.ravel())
            last.append(view.last_class)
            row_folds.append(int(fold))
    shares = np.where(np.array(variants) == "laundered", LAUNDERED_WEIGHT, 1.0)
    weights = source_weights([file.source for file in owners], labels) * shares
    return Rows(owners, variants, np.array(labels), np.stack(classes), np.stack(last), np.array(row_folds), weights)


def gather_moments(
    files: Sequence[LabelledFile], folds: NDArray[np.int64], rows: Rows, subject: str, read: ReadViews, *, seed: int
) -> dict[int, FoldMoments]:
    """Patch moments by fold, from one pass over the cache."""
    moments: dict[int, FoldMoments] = {
        int(fold): {0: PatchMoments.empty(PATCH_WIDTH), 1: PatchMoments.empty(PATCH_WIDTH)} for fold in np.unique(folds)
    }
    weight_of = {(f.key, v): w for f, v, w in zip(rows.files, rows.variants, rows.weights, strict=True)}
    for file, fold in zip(files, folds, strict=True):
        for view in read(file):
            if view.subject != subject or not _teaches_patches(file, view):
                continue
            labels = patch_labels(view.mask, view.label, len(view.patches))
            patches = view.patches.astype(np.float32)
            rng = item_rng(f"{file.key}|{view.variant}", "patch-sample", seed)
            kept = rng.permutation(len(patches))[:PATCHES_PER_VIEW]
            for label in (0, 1):
                part = patches[kept[labels[kept] == label]]
                share = len(part) / len(kept)
                moments[int(fold)][label].add(part, weight_of[(file.key, view.variant)] * share, rng)
    return moments


def _teaches_patches(file: LabelledFile, view: ViewFeatures) -> bool:
    """A local forgery without a mask says nothing about its single patches."""
    return view.mask is not None or view.label == 0 or file.kind in WHOLLY_SYNTHETIC


def cross_fitted(
    parts: FloatArray, labels: NDArray[np.int64], folds: NDArray[np.int64], weights: FloatArray, *, l2: float
) -> FloatArray:
    """Logits of held-out *parts* (n, d), joined by a regression that was fitted on the other folds' parts."""
    return _pooled(fold_pools(parts, labels, folds, weights, l2=l2), parts, folds)


def fit_view_head(
    rows: Rows, moments: dict[int, FoldMoments], subject: str, read: ReadViews, *, stressed: ReadViews
) -> tuple[ViewHead, HeldOut]:
    """The head on all rows, and every base row scored by a head that saw neither its source nor its group.

    The pool has three inputs; it is fitted on held-out parts, since parts of fitted rows would be overconfident.
    """
    base = np.flatnonzero(rows.is_base)
    parts, probe = np.zeros((len(base), 3)), np.zeros(len(base))
    hard = {name: np.full((len(base), 3), np.nan) for name in STRESSES}
    for fold, head in fold_heads(rows, moments).items():
        test = np.flatnonzero(rows.folds[base] == fold)
        parts[test] = _parts(rows, base[test], head, subject, read)
        probe[test] = last_block_probe(rows, rows.folds != fold, base[test])
        for k in test:
            for view in stressed(rows.files[base[k]]):
                if view.subject == subject:
                    hard[view.variant][k] = view_parts(view, head)
    labels, folds, weights = rows.labels[base], rows.folds[base], rows.weights[base]
    pools = fold_pools(parts, labels, folds, weights, l2=POOL_L2)
    pool = fit_logistic(parts, labels, weights, l2=POOL_L2)
    whole = fit_parts(rows, np.ones(len(rows.labels), dtype=bool), list(moments.values()))
    held = HeldOut(
        [rows.files[k] for k in base],
        labels,
        _pooled(pools, parts, folds),
        probe,
        {name: _pooled(pools, found, folds) for name, found in hard.items()},
    )
    return ViewHead(whole.classes, whole.patches, pool), held


def fold_pools(
    parts: FloatArray, labels: NDArray[np.int64], folds: NDArray[np.int64], weights: FloatArray, *, l2: float
) -> dict[int, LinearHead]:
    """For each fold the pool fitted on the parts of all others."""
    return {
        int(fold): fit_logistic(parts[folds != fold], labels[folds != fold], weights[folds != fold], l2=l2)
        for fold in np.unique(folds)
    }


def _pooled(pools: Mapping[int, LinearHead], parts: FloatArray, folds: NDArray[np.int64]) -> FloatArray:
    """Logits of *parts* (n, d), each by the pool of its fold."""
    logits = np.zeros(len(parts))
    for fold, pool in pools.items():
        logits[folds == fold] = pool.logit(parts[folds == fold])
    return logits


def fold_heads(rows: Rows, moments: dict[int, FoldMoments]) -> dict[int, ViewHead]:
    """For each fold the head fitted on all others; its pool passes the class logit on."""
    return {
        int(fold): fit_parts(rows, rows.folds != fold, [m for f, m in moments.items() if f != fold])
        for fold in np.unique(rows.folds)
    }


def fit_parts(rows: Rows, train: NDArray[np.bool_], moments: list[FoldMoments]) -> ViewHead:
    """Class and patch heads on the rows *train* and the folds' *moments*."""
    teaches = train & rows.teaches_classes
    classes = fit_logistic(rows.classes[teaches], rows.labels[teaches], rows.weights[teaches], l2=CLASS_L2)
    unit = LinearHead(np.zeros(3), np.ones(3), np.array([1.0, 0.0, 0.0]), 0.0)
    return ViewHead(classes, fit_patches(moments, ridge=PATCH_RIDGE), unit)


def view_parts(view: ViewFeatures, head: ViewHead) -> FloatArray:
    """What the pool joins of one cached view: [class logit, mean patch logit, mean of the top tenth]."""
    patches = head.patches.logit(view.patches.astype(np.float64))
    return pooled_parts(head.classes.logit(view.classes.ravel().astype(np.float64)), patches)


def _parts(rows: Rows, chosen: NDArray[np.int64], head: ViewHead, subject: str, read: ReadViews) -> FloatArray:
    class_logits = head.classes.logit(rows.classes[chosen])
    return np.array(
        [
            pooled_parts(logit, head.patches.logit(_base_view(rows.files[k], subject, read).patches))
            for k, logit in zip(chosen, class_logits, strict=True)
        ]
    )


def _base_view(file: LabelledFile, subject: str, read: ReadViews) -> ViewFeatures:
    return next(v for v in read(file) if v.subject == subject and v.variant == "base")


def last_block_probe(rows: Rows, train: NDArray[np.bool_], test: NDArray[np.int64]) -> FloatArray:
    """The bare baseline: logistic regression on the last block's class token of unaltered pictures."""
    bare = train & rows.is_base
    last = rows.last_classes
    return fit_logistic(last[bare], rows.labels[bare], rows.weights[bare], l2=CLASS_L2).logit(last[test])
