"""Fits the class head of a ``ViewHead`` on cached views, with source-held-out logits; its map: see ``map_fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.kernel_head import KernelHead
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.evaluation.protocols import source_weights
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.kernel_fit import fit_kernel
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.launder import STRESSES
from deepscreen.training.weighted_logistic import fit_logistic

# What a laundered copy weighs beside its original. On development folds copies of full weight ordered clean pictures
# of unseen sources worse (AUC 0.855 against 0.866 without any); light ones did not (0.863), and half the size at
# JPEG 50 cost 0.10 instead of 0.15.
LAUNDERED_WEIGHT = 0.15
CLASS_L2 = 300.0  # chosen on development folds; figures on the release split never had a say
# Faces are learnt from whole pictures too: of unseen sources it ordered faces better (AUC 0.843 against 0.824), while
# faces gave whole pictures nothing.
TEACHERS = {"whole": ("whole",), "face": ("face", "whole")}
TEACHING_VARIANTS = ("base", "laundered")
ReadViews = Callable[[LabelledFile], Iterable[ViewFeatures]]


@dataclass(frozen=True, repr=False)
class Rows:
    """Class tokens and bookkeeping of all views that teach one subject; patches stay in the cache."""

    subject: str
    files: list[LabelledFile]  # one a row
    subjects: list[str]
    variants: list[str]
    labels: NDArray[np.int64]
    classes: NDArray[np.float32]  # (n, 6 * 768)
    last_classes: NDArray[np.float32]  # (n, 768) of the last block: for the bare baseline only
    folds: NDArray[np.int64]

    @cached_property
    def is_own(self) -> NDArray[np.bool_]:
        """Rows of the subject itself."""
        return np.array([subject == self.subject for subject in self.subjects])

    @cached_property
    def is_base(self) -> NDArray[np.bool_]:
        """Rows that are scored: the subject in the files as they are, one row a file."""
        return np.logical_and(self.is_own, [variant == "base" for variant in self.variants])

    @cached_property
    def teaches_classes(self) -> NDArray[np.bool_]:
        """Rows that the class head learns from. Blends and splices teach patches, where their masks count; as a whole
        they cost the class head more on generated faces than they gave on swaps."""
        return np.isin(self.variants, TEACHING_VARIANTS)

    def weights_of(self, chosen: NDArray[np.bool_]) -> FloatArray:
        """What each of the *chosen* rows weighs: their sources and classes count alike, laundered copies less.

        Balanced anew for each fold: heads of unequal priors would be of unequal levels, and one order spans all folds.
        """
        rows = np.flatnonzero(chosen)
        shares = np.array([LAUNDERED_WEIGHT if self.variants[k] == "laundered" else 1.0 for k in rows])
        return shares * source_weights([self.files[k].source for k in rows], self.labels[rows].tolist())


@dataclass(frozen=True, slots=True, repr=False)
class HeldOut:
    """Source-held-out results of the base rows, in their order, and what the bare last-block probe gave."""

    files: list[LabelledFile]
    labels: NDArray[np.int64]
    spoof_logits: FloatArray
    probe_logits: FloatArray
    stressed_logits: Mapping[str, FloatArray] = field(default_factory=dict)  # by stress; NaN where no view was left


def collect(files: Sequence[LabelledFile], folds: NDArray[np.int64], subject: str, read: ReadViews) -> Rows:
    """All views that teach *subject*; ``folds[i]`` is the fold of ``files[i]``. Patches are let go file by file."""
    owners: list[LabelledFile] = []
    subjects, variants, labels, classes, last, row_folds = [], [], [], [], [], []
    for file, fold in zip(files, folds, strict=True):
        for view in read(file):
            if not _teaches(view, subject):
                continue
            owners.append(file)
            subjects.append(view.subject)
            variants.append(view.variant)
            labels.append(view.label)
            classes.append(view.classes.ravel())
            last.append(view.last_class)
            row_folds.append(int(fold))
    tokens = np.stack(classes), np.stack(last)
    return Rows(subject, owners, subjects, variants, np.array(labels), *tokens, np.array(row_folds))


def _teaches(view: ViewFeatures, subject: str) -> bool:
    return view.subject == subject or (view.subject in TEACHERS[subject] and view.variant in TEACHING_VARIANTS)


def hold_out_classes(rows: Rows, subject: str, *, stressed: ReadViews) -> HeldOut:
    """Every base row scored by a head that saw neither its source nor its group."""
    base = np.flatnonzero(rows.is_base)
    logits, probe = np.zeros(len(base)), np.zeros(len(base))
    hard = {name: np.full(len(base), np.nan) for name in STRESSES}
    for fold in np.unique(rows.folds):
        head = fit_classes(rows, rows.folds != fold)
        test = np.flatnonzero(rows.folds[base] == fold)
        logits[test] = head.logit(rows.classes[base[test]])
        probe[test] = last_block_probe(rows, rows.folds != fold, base[test])
        for k in test:
            for view in stressed(rows.files[base[k]]):
                if view.subject == subject:
                    hard[view.variant][k] = float(head.logit(view.classes.ravel()))
    return HeldOut([rows.files[k] for k in base], rows.labels[base], logits, probe, hard)


def fit_classes(rows: Rows, train: NDArray[np.bool_]) -> KernelHead:
    """The head on class tokens, on the rows *train* that teach it."""
    teaches = train & rows.teaches_classes
    return fit_kernel(rows.classes[teaches], rows.labels[teaches], rows.weights_of(teaches))


def fold_pools(
    parts: FloatArray, labels: NDArray[np.int64], folds: NDArray[np.int64], weights: FloatArray, *, l2: float
) -> dict[int, LinearHead]:
    """For each fold the regression fitted on the parts of all others."""
    return {
        int(fold): fit_logistic(parts[folds != fold], labels[folds != fold], weights[folds != fold], l2=l2)
        for fold in np.unique(folds)
    }


def last_block_probe(rows: Rows, train: NDArray[np.bool_], test: NDArray[np.int64]) -> FloatArray:
    """The bare baseline: logistic regression on the last block's class token of unaltered pictures."""
    bare = train & rows.is_base
    last = rows.last_classes
    return fit_logistic(last[bare], rows.labels[bare], rows.weights_of(bare), l2=CLASS_L2).logit(last[test])
