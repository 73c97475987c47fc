"""The calibration of ``audio_whisper``, and likelihood ratios as it, or one fitted without their fold, states them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.audio_whisper import CARD, stratum_of
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.calibration_fit import BOOTSTRAP_ROUNDS, fit_stratum
from deepscreen.training.audio_rows import AudioRows


def calibrate(
    head_sha256: str, rows: AudioRows, logits: FloatArray, *, n_rounds: int = BOOTSTRAP_ROUNDS
) -> Calibration:
    """One stratum for full-band and one for telephone sound, from held-out logits of recordings and copies."""
    strata_of_rows = _strata(rows)
    strata = {}
    for name in np.unique(strata_of_rows):
        chosen = rows.take(strata_of_rows == name)
        own = logits[strata_of_rows == name]
        strata[str(name)] = fit_stratum(own, chosen.labels, chosen.sources, chosen.weights, n_rounds=n_rounds)
    return Calibration(CARD.name, head_sha256, strata)


def stated_log10_lrs(calibration: Calibration, rows: AudioRows, logits: FloatArray) -> FloatArray:
    """The bounded log10 LR of each row, as a record would state it."""
    pairs = zip(logits, _strata(rows), strict=True)
    return np.array([calibration.apply(float(logit), str(stratum)).log10_lr for logit, stratum in pairs])


def held_out_log10_lrs(rows: AudioRows, logits: FloatArray, folds: NDArray[np.int64]) -> FloatArray:
    """Those of each fold by a calibration of the logits of all others.

    The heads that gave those other logits had seen the fold: that last link is not cut.
    """
    log10_lrs = np.zeros(len(logits))
    for fold in np.unique(folds):
        rest = folds != fold
        others = calibrate("", rows.take(rest), logits[rest], n_rounds=1)
        log10_lrs[~rest] = stated_log10_lrs(others, rows.take(~rest), logits[~rest])
    return log10_lrs


def _strata(rows: AudioRows) -> NDArray[np.str_]:
    return np.array([stratum_of(level) for level in rows.upper_bands_db])
