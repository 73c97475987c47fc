"""Features of labelled recordings and their laundered copies, computed once and kept in a cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.spectral import lfcc_statistics
from deepscreen.detectors.speech import SAMPLE_RATE_HZ, SpeechWindow, VoiceActivity, survey_speech
from deepscreen.detectors.speech_features import SpeechFeatures, pooled_states, state_mask
from deepscreen.errors import ConfigError
from deepscreen.media.samples import Waveform
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.launder_audio import clip_seed, launder

RECIPE = "1"  # to be raised when the features of the same sound change


@dataclass(frozen=True, slots=True, repr=False)
class ClipFeatures:
    """Features of the first speech window of one copy of one recording.

    ``whisper``: (8, 1024) float32, the seven layer entries and the last layer after its norm (for the bare baseline).
    """

    key: str
    copy: int  # 0 = as it is, from 1 on laundered
    whisper: NDArray[np.float32]
    spectral: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LastNorm:
    """The encoder's closing layer norm, which only the baseline uses."""

    weight: Tensor
    bias: Tensor

    def __call__(self, states: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(states, self.weight.shape, self.weight, self.bias)


class AudioFeatureCache:
    """Features by recording and copy, kept under *folder* when there is one; computed where they are missing."""

    def __init__(
        self,
        folder: Path | None,
        speech_features: SpeechFeatures,
        new_voice_activity: Callable[[], VoiceActivity],
        last_norm: LastNorm,
        *,
        seed: int,
    ) -> None:
        self._folder, self._features, self._seed = folder, speech_features, seed
        self._new_voice_activity, self._last_norm = new_voice_activity, last_norm
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def features(self, file: LabelledFile, *, copies: int) -> Iterator[ClipFeatures]:
        """Of the recording and *copies* laundered copies; nothing for a copy without speech."""
        for copy in range(copies + 1):
            found = self._cached(file, copy)
            if found:
                yield found

    def _cached(self, file: LabelledFile, copy: int) -> ClipFeatures | None:
        if not self._folder:
            return self._compute(file, copy)
        content = hashlib.sha256(file.path.read_bytes()).hexdigest()
        name = hashlib.sha256(f"{RECIPE}|{self._seed}|{self._features.identity}|{copy}|{content}|{file.key}".encode())
        path = self._folder / f"{name.hexdigest()[:32]}.npz"
        if not path.exists():
            _save(path, self._compute(file, copy))
        return _load(path, file.key, copy)

    def _compute(self, file: LabelledFile, copy: int) -> ClipFeatures | None:
        samples = load_recording(file.path)
        if copy:
            samples = launder(samples, clip_seed(file.key, copy, self._seed))
        survey = survey_speech([Waveform(samples, SAMPLE_RATE_HZ)], self._new_voice_activity())
        return self._of_window(file.key, copy, survey.windows[0]) if survey.windows else None

    def _of_window(self, key: str, copy: int, window: SpeechWindow) -> ClipFeatures:
        states = self._features.states([window])[:, 0].cpu()
        entries = torch.cat([states, self._last_norm(states[-1:])])
        pooled = pooled_states(entries, state_mask(window)).numpy()
        return ClipFeatures(key, copy, pooled, lfcc_statistics(window.levelled(), window.speech))


def load_recording(path: Path) -> NDArray[np.float32]:
    """A labelled 16 kHz mono recording, (n,) float32. Training data is trusted: no sandbox."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise ConfigError(f"{path}: want mono sound at {SAMPLE_RATE_HZ} Hz, got {samples.shape} at {rate_hz} Hz")
    return np.asarray(samples, np.float32)


def _save(path: Path, features: ClipFeatures | None) -> None:
    """One .npz, empty where nothing is scored; named when it is whole, so that a killed run leaves no half file."""
    temporary = path.with_suffix(".tmp.npz")
    if features is None:
        np.savez(temporary)
    else:
        np.savez(temporary, whisper=features.whisper, spectral=features.spectral)
    temporary.rename(path)


def _load(path: Path, key: str, copy: int) -> ClipFeatures | None:
    with np.load(path, allow_pickle=False) as stored:
        return ClipFeatures(key, copy, stored["whisper"], stored["spectral"]) if stored.files else None
