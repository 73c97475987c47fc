"""Recordings and their laundered copies as rows of features, to fit the audio head and its baseline on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.spectral import upper_band_db
from deepscreen.evaluation.protocols import source_folds, source_weights
from deepscreen.training.audio_features import ClipFeatures
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.launder_audio import TREATMENTS
from deepscreen.training.weighted_logistic import fit_logistic

PROBE_L2 = 300.0


@dataclass(frozen=True, slots=True, repr=False)
class AudioRows:
    """Recordings and their laundered copies, row by row; ``files`` repeats a recording for each of its copies."""

    files: list[LabelledFile]
    copies: NDArray[np.int64]  # 0 = as it is
    whisper: NDArray[np.float32]  # (n, layer entries, 1024)
    last: NDArray[np.float32]  # (n, 1024), zeros for laundered copies
    spectral: FloatArray  # (n, 431), see VIEWS
    labels: NDArray[np.int64]

    @property
    def sources(self) -> list[str]:
        """The source of each row."""
        return [file.source for file in self.files]

    @property
    def treatments(self) -> list[str]:
        """What each row went through."""
        return [TREATMENTS[copy] for copy in self.copies]

    @property
    def weights(self) -> FloatArray:
        """Weight of each row, balanced by source and class."""
        return source_weights(self.sources, self.labels.tolist())

    @property
    def upper_bands_db(self) -> FloatArray:
        """Level above 4.4 kHz of each row, see ``upper_band_db``."""
        return np.array([upper_band_db(row) for row in self.spectral])

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> AudioRows:
        """The rows at the indices, or where the mask is true."""
        rows = np.arange(len(self.files))[chosen]
        return AudioRows(
            [self.files[k] for k in rows],
            self.copies[rows],
            self.whisper[rows],
            self.last[rows],
            self.spectral[rows],
            self.labels[rows],
        )

    def folds(self, n_folds: int) -> list[NDArray[np.int64]]:
        """Held-out rows of each fold; sources that share a group are held out together, copies with their recording."""
        return source_folds(self.sources, [file.group for file in self.files], n_folds)


def audio_rows(pairs: Sequence[tuple[LabelledFile, ClipFeatures]]) -> AudioRows:
    """Rows in the order given."""
    return AudioRows(
        [file for file, _ in pairs],
        np.array([clip.copy for _, clip in pairs], np.int64),
        np.stack([clip.whisper for _, clip in pairs]),
        np.stack([clip.last for _, clip in pairs]),
        np.stack([clip.spectral for _, clip in pairs]).astype(np.float64),
        np.array([file.label for file, _ in pairs], np.int64),
    )


def fit_probe(rows: AudioRows) -> LinearHead:
    """The bare baseline: a logistic regression on Whisper's last layer after its norm, on recordings as they are."""
    clean = rows.take(rows.copies == 0)
    return fit_logistic(clean.last.astype(np.float64), clean.labels, clean.weights, l2=PROBE_L2)
