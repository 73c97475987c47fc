"""A figure as it is reported: AUC, EER and Cllr with n and 95 % intervals, always under a named protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.metrics import INTERVAL, auc, cllr, eer
from deepscreen.evaluation.resampling import auc_of, eer_of, tallies

FIGURE_DECIMALS = 3
MIN_PER_CLASS = 5
ROUNDS = 500


def figure(
    labels: NDArray[np.int64],
    spoof_logits: NDArray[np.float64],
    sources: Sequence[str],
    *,
    spoof_llrs: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Plain keys for a report; counts alone where a class has fewer than ``MIN_PER_CLASS`` items.

    Intervals come from resampling whole *sources*. ``spoof_llrs``: natural-log, for Cllr.
    """
    n_spoof = int(labels.sum())
    counts = {
        "n_spoof": n_spoof,
        "n_bona_fide": len(labels) - n_spoof,
        "n_sources": len(set(sources)),
    }
    if min(counts["n_spoof"], counts["n_bona_fide"]) < MIN_PER_CLASS:
        return counts
    drawn = list(tallies(labels, spoof_logits, np.array(sources), rounds=ROUNDS))
    values: dict[str, Any] = dict(counts)
    for name, metric, resampled in (("auc", auc, auc_of), ("eer", eer, eer_of)):
        found = [resampled(tally) for tally in drawn]
        low, high = np.percentile(np.concatenate(found), INTERVAL) if found else (float("nan"), float("nan"))
        values |= {name: metric(labels, spoof_logits), f"{name}_low": float(low), f"{name}_high": float(high)}
    if spoof_llrs is not None:
        values["cllr"] = cllr(labels, spoof_llrs)
    return {k: round(v, FIGURE_DECIMALS) if isinstance(v, float) else v for k, v in values.items()}
