"""Fits the kernel head of speech: least squares on the nearness to the examples, its setting chosen in inner folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from deepscreen.detectors.audio_head import HEAD_VIEWS, AudioHead, ViewExamples, views_of
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.evaluation.metrics import auc
from deepscreen.training.audio_rows import AudioRows
from deepscreen.training.weighted_logistic import fit_logistic

LAYERS = (1, 2, 3)  # Whisper's later layers know words and speakers
WIDTHS = {"whisper": 0.5, "lfcc": 1.0, "phase": 0.4}
SHARES = {"whisper": 0.5, "lfcc": 0.25, "phase": 0.25}
LEAST_SLOPE = 1.0  # of log-odds on scores about -1 and 1: where nothing is found, chance would turn them around


@dataclass(frozen=True, slots=True)
class KernelSetting:
    """``factor``: on WIDTHS. ``l2``: of the squared norm, in units of items."""

    factor: float
    l2: float


SETTINGS = tuple(KernelSetting(factor, l2=0.2) for factor in (1.0, 1.5, 2.0))


@dataclass(frozen=True, slots=True, repr=False)
class Examples:
    """Rows as examples, with their distances from each other in each view: for all fits on them or on a part."""

    rows: AudioRows
    views: tuple[ViewExamples, ...]
    distances: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, rows: AudioRows) -> Examples:
        """Standardised by all *rows*, which needs no labels."""
        read = views_of(rows.whisper, rows.spectral, LAYERS)
        views = tuple(
            ViewExamples.of(read[name], rows.weights, width=WIDTHS[name], share=SHARES[name]) for name in HEAD_VIEWS
        )
        return cls(rows, views, tuple(view.own_distances() for view in views))

    def kernel(self, factor: float) -> NDArray[np.float32]:
        """(n, n) nearness of the examples to each other."""
        terms = self._terms(factor)
        total = next(terms)
        for term in terms:
            total += term
        return total

    def _terms(self, factor: float) -> Iterator[NDArray[np.float32]]:
        pairs = zip(self.views, self.distances, strict=True)
        return (view.nearness(distances, factor) for view, distances in pairs)

    def cross_fitted(self, kernel: NDArray[np.float32], l2: float, folds: Sequence[NDArray[np.int64]]) -> FloatArray:
        """Scores of each row from a fit on the other folds."""
        scores = np.zeros(len(self.rows.files))
        for held_out in folds:
            kept = np.setdiff1d(np.arange(len(scores)), held_out)
            coef = solve_ridge(kernel[np.ix_(kept, kept)], self.rows.take(kept), l2)
            scores[held_out] = kernel[np.ix_(held_out, kept)] @ coef
        return scores

    def head(self, factor: float, coef: FloatArray, scale: LinearHead) -> AudioHead:
        """The head with ``coef``, brought to log-odds by *scale*, a regression on its scores."""
        slope = max(LEAST_SLOPE, float(scale.coef[0] / scale.scale[0]))
        views = tuple(ViewExamples(v.mean, v.scale, v.examples, v.norms, v.width * factor, v.share) for v in self.views)
        return AudioHead(LAYERS, views, coef * slope, scale.intercept - float(scale.mean[0]) * slope)


@dataclass(frozen=True, slots=True, repr=False)
class FittedKernel:
    """The head, the setting it was fitted with, and how each view alone does at it, as heads of their own."""

    head: AudioHead
    setting: KernelSetting
    alone: tuple[AudioHead, ...]

    def logits(self, rows: AudioRows) -> FloatArray:
        """(n,) log-odds of each row."""
        return kernel_logits(self.head, rows)


def fit_kernel(
    rows: AudioRows, n_folds: int, settings: Sequence[KernelSetting] = SETTINGS, *, with_alone: bool = True
) -> FittedKernel:
    """The head with the setting that has the best cross-fitted AUC in *n_folds* of whole sources.

    ``with_alone``: whether each view gets a head of its own too.
    """
    examples, folds = Examples.of(rows), rows.folds(n_folds)
    best: tuple[float, KernelSetting, FloatArray] | None = None
    for factor in dict.fromkeys(s.factor for s in settings):
        kernel = examples.kernel(factor)
        for setting in (s for s in settings if s.factor == factor):
            scores = examples.cross_fitted(kernel, setting.l2, folds)
            quality = auc(rows.labels, scores)
            if best is None or quality > best[0]:
                best = (quality, setting, scores)
    if best is None:
        raise ValueError("settings: want at least one")
    _, setting, scores = best
    scale = fit_logistic(scores[:, None], rows.labels, rows.weights, l2=1.0)
    coef = solve_ridge(examples.kernel(setting.factor), rows, setting.l2)
    alone = tuple(_alone(examples, k, setting) for k in range(len(HEAD_VIEWS) if with_alone else 0))
    return FittedKernel(examples.head(setting.factor, coef, scale), setting, alone)


def _alone(examples: Examples, k: int, setting: KernelSetting) -> AudioHead:
    """A head that reads view *k* only; its scores order, they are no log-odds."""
    views = tuple(
        ViewExamples(v.mean, v.scale, v.examples, v.norms, v.width * setting.factor, float(j == k))
        for j, v in enumerate(examples.views)
    )
    coef = solve_ridge(views[k].nearness(examples.distances[k]), examples.rows, setting.l2)
    return AudioHead(LAYERS, views, coef, 0.0)


def kernel_logits(head: AudioHead, rows: AudioRows) -> FloatArray:
    """(n,) what *head* says of each row."""
    read = views_of(rows.whisper, rows.spectral, head.layers)
    return np.asarray(head.view_logits(read).sum(axis=1) + head.intercept)


def solve_ridge(kernel: NDArray[np.float32], rows: AudioRows, l2: float) -> FloatArray:
    """Coefficients that minimise squared error against targets of +-1 (rows weighted) + l2 of the squared norm."""
    weights = rows.weights
    system = kernel.astype(np.float64)
    system[np.diag_indices(len(system))] += l2 * weights.mean() / weights
    return np.asarray(solve(system, 2.0 * rows.labels - 1, assume_a="pos", overwrite_a=True))
