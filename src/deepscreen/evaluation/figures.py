"""A figure as it is reported: AUC, EER and Cllr with n and 95 % intervals, always under a named protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.metrics import auc, bootstrap_interval, cllr, eer

FIGURE_DECIMALS = 3
MIN_PER_CLASS = 5


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
    names = np.array(sources)
    values: dict[str, Any] = dict(counts)
    for name, metric in (("auc", auc), ("eer", eer)):
        estimate = bootstrap_interval(metric, labels, spoof_logits, names)
        values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    if spoof_llrs is not None:
        values["cllr"] = cllr(labels, spoof_llrs)
    return {k: round(v, FIGURE_DECIMALS) if isinstance(v, float) else v for k, v in values.items()}
