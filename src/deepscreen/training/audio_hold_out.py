"""Every recording by a fit that saw neither its source nor what shares a group with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.audio_head import HEAD_VIEWS
from deepscreen.training.audio_kernel import FittedKernel, fit_kernel, kernel_logits
from deepscreen.training.audio_report import AudioResult
from deepscreen.training.audio_rows import AudioRows, fit_probe
from deepscreen.training.labelled import LabelledFile

OUTER_FOLDS, INNER_FOLDS = 6, 4


@dataclass(frozen=True, slots=True, repr=False)
class HeldOutFits:
    """Each row by the fit without its fold, whose setting was chosen without it too; and those fits by fold."""

    result: AudioResult
    folds: NDArray[np.int64]
    fits: Mapping[int, FittedKernel]

    def recordings(self) -> tuple[list[LabelledFile], NDArray[np.int64]]:
        """Without laundered copies, and the fold of each."""
        clean = self.result.as_recorded
        files = [file for file, is_clean in zip(self.result.rows.files, clean, strict=True) if is_clean]
        return files, self.folds[clean]


def hold_out(rows: AudioRows) -> HeldOutFits:
    """Fits without each of OUTER_FOLDS folds of whole sources, and what they say of it."""
    n = len(rows.files)
    held = AudioResult(rows, np.zeros(n), np.zeros((n, len(HEAD_VIEWS))), np.zeros(n))
    folds, fits = np.zeros(n, np.int64), {}
    for number, fold in enumerate(rows.folds(OUTER_FOLDS)):
        folds[fold] = number
        train, test = rows.take(folds_without(n, fold)), rows.take(fold)
        fits[number] = fit_kernel(train, INNER_FOLDS)
        found = read_by(fits[number], train, test)
        held.spoof_logits[fold], held.probe_logits[fold] = found.spoof_logits, found.probe_logits
        held.view_scores[fold] = found.view_scores
    return HeldOutFits(held, folds, fits)


def folds_without(n: int, fold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) true but for *fold*."""
    kept = np.ones(n, bool)
    kept[fold] = False
    return kept


def read_by(fitted: FittedKernel, train: AudioRows, test: AudioRows) -> AudioResult:
    """*test* by what was fitted on *train*."""
    alone = np.stack([kernel_logits(head, test) for head in fitted.alone], axis=1)
    return AudioResult(test, fitted.logits(test), alone, fit_probe(train).logit(test.last))
