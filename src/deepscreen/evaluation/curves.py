"""The points of DET, Tippett and reliability plots, thinned to what an eye can tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from deepscreen.evaluation.metrics import class_weights, spoof_probability
from deepscreen.scoring.calibration import LN10

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MAX_POINTS = 200
N_BINS = 10
DECIMALS = 4
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Items whose P(spoof) under prior 0.5 fell into one tenth: its mean, and the share of spoofs, classes alike."""

    predicted: float
    observed: float
    n: int


@dataclass(frozen=True, slots=True)
class Curves:
    """``det``: (FPR, FNR). ``tippett_*``: (log10 LR, share of the class with at least that LR)."""

    det: Points
    tippett_bona_fide: Points
    tippett_spoof: Points
    reliability: tuple[ReliabilityBin, ...]


def curves_of(labels: IntArray, ranks: FloatArray, llrs: FloatArray | None) -> Curves:
    """All curves; without *llrs* those that need them are empty. Both classes must be there."""
    fpr, tpr, _ = roc_curve(labels, ranks)
    det = _thinned(fpr, 1 - tpr)
    if llrs is None:
        return Curves(det, (), (), ())
    return Curves(det, tippett(llrs[labels == 0]), tippett(llrs[labels == 1]), reliability(labels, llrs))


def tippett(llrs: FloatArray) -> Points:
    """The share of *llrs* (natural logarithms) at or above each value."""
    ordered = np.sort(llrs)
    shares = 1 - np.arange(len(ordered)) / len(ordered)
    return _thinned(ordered / LN10, shares)


def reliability(labels: IntArray, llrs: FloatArray) -> tuple[ReliabilityBin, ...]:
    """Bins that hold items, lowest first."""
    predicted, weights = spoof_probability(llrs), class_weights(labels)
    bins = np.minimum((predicted * N_BINS).astype(int), N_BINS - 1)
    found = []
    for k in np.unique(bins):
        inside = bins == k
        mean, observed = (float(np.average(v[inside], weights=weights[inside])) for v in (predicted, labels))
        found.append(ReliabilityBin(round(mean, DECIMALS), round(observed, DECIMALS), int(inside.sum())))
    return tuple(found)


def _thinned(xs: FloatArray, ys: FloatArray) -> Points:
    chosen = np.unique(np.linspace(0, len(xs) - 1, min(len(xs), MAX_POINTS)).round().astype(int))
    return tuple((round(float(xs[k]), DECIMALS), round(float(ys[k]), DECIMALS)) for k in chosen)
