"""Fits the linear head: a standardised, weighted logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from deepscreen.detectors.linear_head import FloatArray, LinearHead


def fit_logistic(
    features: NDArray[np.float64] | NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: FloatArray,
    *,
    l2: float,
    max_iter: int = 100,
) -> LinearHead:
    """Minimises weighted log loss (mean weight 1) + l2/2 |coef|^2 on standardised features; 1 = spoof.

    ``l2`` is in units of items: the penalty that weighs as much as that many items of log loss.
    """
    x = np.asarray(features, dtype=np.float64)
    mean, scale = standards(x, weights)
    model = LogisticRegression(C=1.0 / l2, tol=1e-5, max_iter=max_iter)
    model.fit((x - mean) / scale, labels, sample_weight=weights * len(weights) / weights.sum())
    return LinearHead(mean, scale, np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0]))


def standards(features: NDArray[Any], weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean and standard deviation of each column, (d,) float64."""
    x, share = np.asarray(features, dtype=np.float64), weights / weights.sum()
    mean = share @ x
    return mean, np.sqrt(share @ (x - mean) ** 2) + 1e-6
