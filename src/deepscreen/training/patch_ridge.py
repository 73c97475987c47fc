"""Fits the patch head by weighted least squares from moments: one pass over the patches, flat memory, any folds.

Least squares on +-1 targets gives the direction of Fisher's discriminant; a one-dimensional logistic regression on a
sample of patches then turns its output into log-odds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from deepscreen.detectors.linear_head import FloatArray, LinearHead

FORGED_SHARE, CLEAN_SHARE = 0.5, 0.05  # of a patch's pixels; what lies between is left out
SAMPLE_PER_VIEW = 8


@dataclass(slots=True, repr=False)
class PatchMoments:
    """Weighted sums over patches of one class, and a sample of them."""

    weight: float
    first: FloatArray
    second: FloatArray
    sample: list[NDArray[np.float32]]
    sample_weight: list[float]

    @classmethod
    def empty(cls, width: int) -> PatchMoments:
        """No patches yet."""
        return cls(0.0, np.zeros(width), np.zeros((width, width)), [], [])

    def add(self, patches: NDArray[np.float32], weight: float, rng: np.random.Generator) -> None:
        """Adds one view's patches (n, width), which together weigh *weight*."""
        if not len(patches):
            return
        share = weight / len(patches)
        self.weight += weight
        self.first += share * patches.sum(axis=0, dtype=np.float64)
        self.second += share * (patches.T @ patches)
        chosen = rng.permutation(len(patches))[:SAMPLE_PER_VIEW]
        self.sample.extend(patches[chosen])
        self.sample_weight.extend([weight / len(chosen)] * len(chosen))


FoldMoments = dict[int, PatchMoments]  # by label: 0 = bona fide, 1 = forged


def patch_labels(mask: NDArray[np.float32] | None, label: int, n_patches: int) -> NDArray[np.int64]:
    """0, 1 or -1 (left out) per patch: by the mask where there is one, else the view's label."""
    if mask is None:
        return np.full(n_patches, label)
    return np.where(mask > FORGED_SHARE, 1, np.where(mask < CLEAN_SHARE, 0, -1))


def fit_patches(folds: list[FoldMoments], *, ridge: float) -> LinearHead:
    """The patch head from the moments of *folds*; both classes weigh the same. ``ridge``: in units of variance."""
    total = {label: sum(f[label].weight for f in folds) for label in (0, 1)}
    first = {label: sum(f[label].first for f in folds) / total[label] for label in (0, 1)}
    second = sum(0.5 * sum(f[label].second for f in folds) / total[label] for label in (0, 1))
    mean = np.asarray((first[0] + first[1]) / 2, dtype=np.float64)
    covariance = np.asarray(second, dtype=np.float64) - np.outer(mean, mean)
    scale = np.asarray(np.sqrt(np.diag(covariance)) + 1e-6, dtype=np.float64)
    correlation = covariance / np.outer(scale, scale)
    correlation[np.diag_indices_from(correlation)] += ridge
    coef = np.asarray(np.linalg.solve(correlation, (first[1] - first[0]) / (2 * scale)), dtype=np.float64)
    return _as_log_odds(LinearHead(mean, scale, coef, 0.0), folds)


def _as_log_odds(head: LinearHead, folds: list[FoldMoments]) -> LinearHead:
    rows, labels, weights = [], [], []
    for label in (0, 1):
        for fold in folds:
            rows.extend(fold[label].sample)
            weights.extend(fold[label].sample_weight)
            labels.extend([label] * len(fold[label].sample))
    outputs = np.concatenate([head.logit(np.stack(rows[k : k + 4096])) for k in range(0, len(rows), 4096)])
    y, w = np.array(labels), np.array(weights)
    for label in (0, 1):
        w[y == label] *= 0.5 * len(y) / w[y == label].sum()
    fit = LogisticRegression(C=1e3, tol=1e-8).fit(outputs[:, None], y, sample_weight=w)
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    return LinearHead(head.mean, head.scale, head.coef * slope, offset)
