"""Fits a calibration stratum. Apart from applying one, so that screening does not load scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from deepscreen.scoring.calibration import Stratum

BOOTSTRAP_ROUNDS = 200


def fit_stratum(
    spoof_logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    sources: Sequence[str],
    weights: NDArray[np.float64],
    *,
    n_rounds: int = BOOTSTRAP_ROUNDS,
) -> Stratum:
    """Fits one stratum on held-out logits (1 = spoof). Classes are weighted alike, so the offset holds no prior.

    ``n_rounds``: bootstrap rounds for the interval; one is enough where only the point is read.
    """
    slope, offset = _affine(spoof_logits, labels, weights)
    rng = np.random.default_rng(0)
    names, inverse = np.unique(np.array(sources), return_inverse=True)
    members = [np.flatnonzero(inverse == k) for k in range(len(names))]
    rounds: list[tuple[float, float]] = []
    while len(rounds) < n_rounds:
        rows = np.concatenate([members[k] for k in rng.integers(0, len(names), len(names))])
        if 0 < labels[rows].sum() < len(rows):
            rounds.append(_affine(spoof_logits[rows], labels[rows], weights[rows]))
    n_spoof = int(labels.sum())
    return Stratum(slope, offset, tuple(rounds), n_spoof, len(labels) - n_spoof, len(names))


def _affine(
    logits: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Weighted logistic regression on one feature with both classes at equal weight: slope and offset of the LLR."""
    balanced = weights.copy()
    for value in (0, 1):
        balanced[labels == value] *= 0.5 * len(labels) / balanced[labels == value].sum()
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(logits[:, None], labels, sample_weight=balanced)
    return round(max(float(model.coef_[0, 0]), 0.0), 9), round(float(model.intercept_[0]), 9)
