"""Half minutes of speech with the log10 LR of each second, by heads and calibrations that saw nothing of their fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepscreen.evaluation.span_figures import ReadCase
from deepscreen.scoring.calibration import LN10
from deepscreen.training.clip_moments import fit_moments
from deepscreen.training.speech_moments import SpokenCase, speech_peaks

TOLERANCE_SECONDS = 1.0


def read_speech_cases(cases: Sequence[SpokenCase]) -> list[ReadCase]:
    """Each by the calibration of the other folds."""
    peaks = speech_peaks(cases)
    strata = {fold: fit_moments(peaks, peaks.folds != fold) for fold in {one.case.fold for one in cases}}
    read = []
    for one in cases:
        slope, offset = strata[one.case.fold].slope / LN10, strata[one.case.fold].offset / LN10
        moments = tuple(replace(point, spoof_logit=slope * point.spoof_logit + offset) for point in one.moments)
        read.append(ReadCase(one.case, moments, tolerance_seconds=TOLERANCE_SECONDS))
    return read
