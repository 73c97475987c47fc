"""Votes: heads that are joined at equal or given shares, on one scale, instead of by fitted weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.training.weighted_logistic import fit_logistic

VOTE_L2 = 1.0


def fit_vote(parts: FloatArray, shares: Sequence[float], labels: NDArray[np.int64], weights: FloatArray) -> LinearHead:
    """Log-odds from held-out *parts* (n, d): each is standardised and has its share of the mean.

    Two numbers are fitted on the mean, its slope and its zero, so that what comes out are log-odds.
    """
    share = weights / weights.sum()
    mean = share @ parts
    scale = np.sqrt(share @ (parts - mean) ** 2) + 1e-6
    given = np.asarray(shares, dtype=np.float64)
    line = fit_logistic(((parts - mean) / scale @ given)[:, None], labels, weights, l2=VOTE_L2)
    slope = float(line.coef[0] / line.scale[0])
    return LinearHead(mean, scale, given * slope, line.intercept - slope * float(line.mean[0]))
