"""The two parts of the audio head, fitted on rows of features, and cross-fitted logits that choose their settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.audio_head import CosineHead
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.spectral import upper_band_db
from deepscreen.evaluation.metrics import auc
from deepscreen.evaluation.protocols import source_folds, source_weights
from deepscreen.training.audio_features import ClipFeatures
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.weighted_logistic import fit_logistic

LAST_NORMED = 7  # the row of ``ClipFeatures.whisper`` that the bare probe reads


@dataclass(frozen=True, slots=True, repr=False)
class AudioRows:
    """Recordings and their laundered copies, row by row; ``files`` repeats a recording for each of its copies."""

    files: list[LabelledFile]
    copies: NDArray[np.int64]  # 0 = as it is
    whisper: NDArray[np.float32]  # (n, 8, 1024)
    spectral: FloatArray  # (n, 239)
    labels: NDArray[np.int64]

    @property
    def sources(self) -> list[str]:
        """The source of each row."""
        return [file.source for file in self.files]

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
            [self.files[k] for k in rows], self.copies[rows], self.whisper[rows], self.spectral[rows], self.labels[rows]
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
        np.stack([clip.spectral for _, clip in pairs]),
        np.array([file.label for file, _ in pairs], np.int64),
    )


class Part(Protocol):
    """A way to fit one part; fitted, it gives log-odds row by row."""

    def fitted(self, rows: AudioRows) -> Self:
        """This part fitted on *rows*."""
        ...

    def logits(self, rows: AudioRows) -> FloatArray:
        """Log-odds of spoof of each row; only after fitting."""
        ...


P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True, repr=False)
class WhisperPart:
    """A logistic regression on the pooled states of ``layers``."""

    layers: tuple[int, ...]
    l2: float
    head: LinearHead | None = None

    def fitted(self, rows: AudioRows) -> WhisperPart:
        """The regression on *rows*."""
        return replace(self, head=fit_logistic(self._read(rows), rows.labels, rows.weights, l2=self.l2))

    def logits(self, rows: AudioRows) -> FloatArray:
        """Log-odds of each row."""
        return fitted_head(self.head).logit(self._read(rows))

    def _read(self, rows: AudioRows) -> FloatArray:
        width = len(self.layers) * rows.whisper.shape[2]
        return rows.whisper[:, list(self.layers)].reshape(len(rows.files), width).astype(np.float64)


@dataclass(frozen=True, slots=True, repr=False)
class SpectralPart:
    """A logistic regression on random cosines of the spectral statistics: a smooth non-linear head.

    ``width``: how fast the cosines turn; 1 = once over the typical distance of two rows.
    """

    width: float
    l2: float
    seed: int
    n_cosines: int = 1000
    head: CosineHead | None = None

    def fitted(self, rows: AudioRows) -> SpectralPart:
        """The regression on *rows*, with cosines that depend on the seed alone."""
        x, share = rows.spectral, rows.weights / rows.weights.sum()
        mean = share @ x
        scale = np.sqrt(share @ (x - mean) ** 2) + 1e-6
        rng = np.random.default_rng(self.seed)
        n_features = x.shape[1]
        directions = rng.standard_normal((n_features, self.n_cosines)) * np.sqrt(2 * self.width / n_features)
        phases = rng.uniform(0, 2 * np.pi, self.n_cosines)
        nowhere = LinearHead(np.zeros(0), np.zeros(0), np.zeros(0), 0.0)
        cosines = CosineHead(mean, scale, directions, phases, nowhere)
        linear = fit_logistic(cosines.cosines(x), rows.labels, rows.weights, l2=self.l2)
        return replace(self, head=replace(cosines, linear=linear))

    def logits(self, rows: AudioRows) -> FloatArray:
        """Log-odds of each row."""
        return fitted_head(self.head).logit(rows.spectral)


H = TypeVar("H", LinearHead, CosineHead)


def fitted_head(head: H | None) -> H:
    """*head*, or ValueError where the part was not fitted."""
    if head is None:
        raise ValueError("this part is not fitted yet: call fitted(rows) first")
    return head


def cross_fitted(part: Part, rows: AudioRows, folds: Sequence[NDArray[np.int64]]) -> FloatArray:
    """Log-odds of each row from a fit on the other folds."""
    logits = np.zeros(len(rows.files))
    for held_out in folds:
        kept = np.ones(len(logits), bool)
        kept[held_out] = False
        logits[held_out] = part.fitted(rows.take(kept)).logits(rows.take(held_out))
    return logits


def choose(candidates: Sequence[P], rows: AudioRows, n_folds: int) -> tuple[P, FloatArray]:
    """The candidate with the best cross-fitted AUC, the first one of equals, and its cross-fitted logits."""
    folds = rows.folds(n_folds)
    contenders = [(part, cross_fitted(part, rows, folds)) for part in candidates]
    return max(contenders, key=lambda pair: auc(rows.labels, pair[1]))
