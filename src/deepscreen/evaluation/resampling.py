"""The metrics of ``metrics.py`` over many resamples at once, for evaluations with hundreds of strata.

A resample is how often each item was drawn. Items are tallied by their score, so that all resamples of a data set are
two arrays; what a metric gives for a resample is what ``metrics.py`` gives for the items written out that often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

from deepscreen.evaluation.metrics import spoof_probability

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
CELLS_AT_ONCE = 4_000_000
ECE_BINS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Tally:
    """``values``: (u,) distinct scores, ascending. ``bona_fide``, ``spoof``: (rounds, u) items drawn at each."""

    values: FloatArray
    bona_fide: FloatArray
    spoof: FloatArray

    @property
    def shares(self) -> tuple[FloatArray, FloatArray]:
        """As shares of their class: each row sums to 1."""
        bona_fide, spoof = (part / part.sum(axis=1, keepdims=True) for part in (self.bona_fide, self.spoof))
        return bona_fide, spoof


ResampledMetric = Callable[[Tally], FloatArray]


def tallies(
    labels: IntArray, scores: FloatArray, units: NDArray[np.str_], *, rounds: int, seed: int = 0
) -> Iterator[Tally]:
    """Resamples of whole *units*, as many at once as memory should bear; those that lack a class are left out."""
    rng = np.random.default_rng(seed)
    names, unit_of = np.unique(units, return_inverse=True)
    values, value_of = np.unique(scores, return_inverse=True)
    per_piece = max(1, CELLS_AT_ONCE // len(labels))
    for start in range(0, rounds, per_piece):
        n_rounds = min(per_piece, rounds - start)
        drawn = rng.integers(0, len(names), (n_rounds, len(names)))
        times = np.stack([np.bincount(one, minlength=len(names)) for one in drawn]).astype(np.float64)
        bona_fide, spoof = (_by_value(times, unit_of, value_of, labels == label, len(values)) for label in (0, 1))
        whole = (bona_fide.sum(axis=1) > 0) & (spoof.sum(axis=1) > 0)
        if whole.any():
            yield Tally(values, bona_fide[whole], spoof[whole])


def _by_value(
    times: FloatArray, unit_of: NDArray[np.intp], value_of: NDArray[np.intp], mask: NDArray[np.bool_], n_values: int
) -> FloatArray:
    """How often items of one class were drawn at each distinct score."""
    result = np.zeros((len(times), n_values))
    members = np.flatnonzero(mask)
    members = members[np.argsort(value_of[members], kind="stable")]
    present, starts = np.unique(value_of[members], return_index=True)
    if len(members):
        result[:, present] = np.add.reduceat(times[:, unit_of[members]], starts, axis=1)
    return result


def auc_of(tally: Tally) -> FloatArray:
    """Area under the ROC curve, ties counted half."""
    bona_fide, spoof = tally.shares
    below = np.cumsum(bona_fide, axis=1) - bona_fide / 2
    return np.asarray((spoof * below).sum(axis=1), dtype=np.float64)


def eer_of(tally: Tally) -> FloatArray:
    """Equal error rate, on the straight line between the ROC points around it."""
    fpr, tpr = _roc(tally)
    gap = fpr - (1 - tpr)
    after = np.argmax(gap >= -1e-12, axis=1)
    rows = np.arange(len(gap))
    before = np.maximum(after - 1, 0)
    step = gap[rows, after] - gap[rows, before]
    share = np.divide(-gap[rows, before], step, out=np.ones_like(step), where=step > 0)
    return np.asarray(fpr[rows, before] + share * (fpr[rows, after] - fpr[rows, before]), dtype=np.float64)


def tpr_at_one_percent_of(tally: Tally) -> FloatArray:
    """Largest share of spoofs found while at most 1 % of the bona fide are flagged."""
    fpr, tpr = _roc(tally)
    return np.asarray(np.where(fpr <= 0.01, tpr, 0.0).max(axis=1), dtype=np.float64)


def cllr_of(tally: Tally) -> FloatArray:
    """Cllr of natural-log LRs, in bits."""
    bona_fide, spoof = tally.shares
    cost = spoof @ np.logaddexp(0, -tally.values) + bona_fide @ np.logaddexp(0, tally.values)
    return np.asarray(cost / (2 * np.log(2)), dtype=np.float64)


def cllr_min_of(tally: Tally) -> FloatArray:
    """Cllr after the best monotone recalibration of each resample."""
    return np.array([_cllr_min(b, s) for b, s in zip(*tally.shares, strict=True)])


def calibration_loss_of(tally: Tally) -> FloatArray:
    """Cllr less Cllr_min."""
    return cllr_of(tally) - cllr_min_of(tally)


def brier_of(tally: Tally) -> FloatArray:
    """Brier score under prior 0.5, classes weighing half."""
    bona_fide, spoof = tally.shares
    predicted = spoof_probability(tally.values)
    return np.asarray((spoof @ (1 - predicted) ** 2 + bona_fide @ predicted**2) / 2, dtype=np.float64)


def ece_of(tally: Tally) -> FloatArray:
    """Expected calibration error under prior 0.5 in ten bins, classes weighing half."""
    bona_fide, spoof = tally.shares
    predicted = spoof_probability(tally.values)
    in_bin = np.eye(ECE_BINS)[np.minimum((predicted * ECE_BINS).astype(int), ECE_BINS - 1)]
    gaps = (bona_fide * predicted + spoof * (predicted - 1)) @ in_bin / 2
    return np.asarray(np.abs(gaps).sum(axis=1), dtype=np.float64)


def _roc(tally: Tally) -> tuple[FloatArray, FloatArray]:
    """(rounds, u + 1) rates from the strictest threshold, where both are 0, to the laxest."""
    bona_fide, spoof = (np.cumsum(part[:, ::-1], axis=1) for part in tally.shares)
    start = np.zeros((len(bona_fide), 1))
    return np.hstack([start, bona_fide]), np.hstack([start, spoof])


def _cllr_min(bona_fide: FloatArray, spoof: FloatArray) -> float:
    weights = bona_fide + spoof
    drawn = weights > 0
    posterior = isotonic_regression(spoof[drawn] / weights[drawn], sample_weight=weights[drawn], y_min=0, y_max=1)
    posterior = np.clip(posterior, 1e-12, 1 - 1e-12)
    cost = -(spoof[drawn] @ np.log2(posterior) + bona_fide[drawn] @ np.log2(1 - posterior))
    return float(cost / 2)
