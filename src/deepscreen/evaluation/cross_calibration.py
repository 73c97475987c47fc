"""Likelihood ratios of held-out logits by calibrations that were fitted without their fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepscreen.evaluation.protocols import source_weights
from deepscreen.scoring.calibration import DEFAULT_STRATUM, Calibration
from deepscreen.scoring.calibration_fit import fit_stratum


def cross_calibrated(
    spoof_logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    sources: Sequence[str],
    folds: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Bounded log10 LRs: those of each fold by a calibration of the logits of all others (1 = spoof).

    The heads that gave those other logits had seen the fold: that last link is not cut.
    """
    names = np.array(sources)
    log10_lrs = np.zeros(len(spoof_logits))
    for fold in np.unique(folds):
        rest = folds != fold
        others = names[rest].tolist()
        weights = source_weights(others, labels[rest].tolist())
        stratum = fit_stratum(spoof_logits[rest], labels[rest], others, weights, n_rounds=1)
        calibration = Calibration("", "", {DEFAULT_STRATUM: stratum})
        log10_lrs[~rest] = [calibration.apply(float(logit)).log10_lr for logit in spoof_logits[~rest]]
    return log10_lrs
