"""Metrics of the field, each defined once. Labels: 1 = spoof, 0 = bona fide. Scores: higher supports spoof.

AUC and the ROC come from scikit-learn; the rest is arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score, roc_curve

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Metric = Callable[[IntArray, FloatArray], float]
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def auc(labels: IntArray, scores: FloatArray) -> float:
    """Area under the ROC curve, ties counted half."""
    return float(roc_auc_score(labels, scores))


def eer(labels: IntArray, scores: FloatArray) -> float:
    """Equal error rate in [0, 1]: where the straight lines between ROC points cross FPR = FNR."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    gap = fpr - (1 - tpr)
    k = int(np.searchsorted(gap, 0.0))
    if k == 0 or gap[k] == 0:
        return float(fpr[k])
    share = -gap[k - 1] / (gap[k] - gap[k - 1])
    return float(fpr[k - 1] + share * (fpr[k] - fpr[k - 1]))


def tpr_at_fpr(labels: IntArray, scores: FloatArray, max_fpr: float) -> float:
    """Largest share of spoofs found at a threshold that flags at most *max_fpr* of the bona fide."""
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return float(tpr[fpr <= max_fpr].max())


def min_dcf(
    labels: IntArray, scores: FloatArray, *, prior_spoof: float = 0.05, cost_miss: float = 1.0, cost_false: float = 10.0
) -> float:
    """Least detection cost over all thresholds, 1 = that of the better blind guess.

    A miss is a bona fide item taken for spoof, a false acceptance a spoof taken for bona fide. Source: ASVspoof 5
    evaluation plan (2024), eq. 1 to 3, with its prior and costs.
    """
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    cost = cost_miss * (1 - prior_spoof) * fpr + cost_false * prior_spoof * (1 - tpr)
    return float(cost.min() / min(cost_miss * (1 - prior_spoof), cost_false * prior_spoof))


def cllr(labels: IntArray, llrs: FloatArray) -> float:
    """Cost of the log likelihood ratio (natural-log LLRs), in bits; 1 = no information.

    Source: Bruemmer and du Preez, "Application-independent evaluation of speaker detection", 2006, eq. 11.
    """
    spoof, bona_fide = llrs[labels == 1], llrs[labels == 0]
    cost = np.logaddexp(0, -spoof).mean() + np.logaddexp(0, bona_fide).mean()
    return float(cost / (2 * np.log(2)))


def cllr_min(labels: IntArray, scores: FloatArray) -> float:
    """Cllr after the best monotone recalibration on the same data (pool adjacent violators)."""
    weights = class_weights(labels)
    order = np.argsort(scores, kind="stable")
    posterior = IsotonicRegression(y_min=0, y_max=1).fit_transform(
        scores[order], labels[order], sample_weight=weights[order]
    )
    posterior = np.clip(posterior, 1e-12, 1 - 1e-12)
    return cllr(labels[order], np.log(posterior) - np.log1p(-posterior))


def calibration_loss(labels: IntArray, llrs: FloatArray) -> float:
    """Cllr less Cllr_min: what the LRs lose by their calibration, in bits; the order of items has no part in it."""
    return cllr(labels, llrs) - cllr_min(labels, llrs)


def brier(labels: IntArray, llrs: FloatArray) -> float:
    """Mean squared error of P(spoof) under prior 0.5 (natural-log LLRs); both classes weigh half.

    0.25 = no information. Source: Brier, "Verification of forecasts expressed in terms of probability", 1950, eq. 2,
    for one of two classes.
    """
    return float(class_weights(labels) @ (spoof_probability(llrs) - labels) ** 2)


def ece(labels: IntArray, llrs: FloatArray, n_bins: int = 10) -> float:
    """Expected calibration error in [0, 1] under prior 0.5: |P(spoof) - share of spoofs|, averaged over equal bins.

    Both classes weigh half, so that the share of the classes in the data is no part of it. With few items it is above 0
    even for a perfect calibration. Source: Naeini et al., "Obtaining well calibrated probabilities", 2015.
    """
    predicted, weights = spoof_probability(llrs), class_weights(labels)
    bins = np.minimum((predicted * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, weights * (predicted - labels), minlength=n_bins)
    return float(np.abs(gaps).sum())


def spoof_probability(llrs: FloatArray) -> FloatArray:
    """P(spoof) under prior 0.5 for natural-log LLRs."""
    return np.asarray(0.5 * (1 + np.tanh(llrs / 2)), dtype=np.float64)


def class_weights(labels: IntArray) -> FloatArray:
    """A weight per item; each class sums to one half."""
    return np.asarray(np.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum()), dtype=np.float64)


def bootstrap_interval(
    metric: Metric, labels: IntArray, scores: FloatArray, groups: NDArray[np.str_], *, seed: int = 0, rounds: int = 500
) -> Estimate:
    """*metric* with its 95 % interval from resampling whole *groups* (sources), never single files."""
    rng = np.random.default_rng(seed)
    names, inverse = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(inverse == k) for k in range(len(names))]
    values = []
    for _ in range(rounds):
        rows = np.concatenate([members[k] for k in rng.integers(0, len(names), len(names))])
        if 0 < labels[rows].sum() < len(rows):
            values.append(metric(labels[rows], scores[rows]))
    low, high = np.percentile(values, INTERVAL) if values else (float("nan"), float("nan"))
    return Estimate(metric(labels, scores), float(low), float(high))
