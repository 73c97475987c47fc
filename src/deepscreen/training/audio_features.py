"""Features of labelled recordings and their laundered copies, computed once and kept in a cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.nets.whisper import WhisperBackbone
from deepscreen.detectors.speech import SAMPLE_RATE_HZ, SpeechWindow, VoiceActivity, survey_speech
from deepscreen.detectors.speech_features import (
    POOLED_WIDTH,
    ReadWindow,
    SpeechFeatures,
    WindowFeatures,
)
from deepscreen.detectors.speech_slices import SLICE_HOP_FRAMES, SliceFeatures, SliceStack, owned_starts, slices_of
from deepscreen.errors import ConfigError
from deepscreen.media.samples import Waveform
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.launder_audio import copies_of, copy_of

RECIPE = "2"  # to be raised when the features of the same sound change
EARLY_LAYER = 3  # the last Whisper layer that heads may read: later ones know words and speakers


@dataclass(frozen=True, slots=True, repr=False)
class ClipFeatures:
    """Features of the first speech window of one copy of one recording.

    ``whisper``: (EARLY_LAYER + 1, 1024) float32, one row a layer entry. ``last``: (1024,) float32, the last layer after
    its norm, for the bare baseline; zeros for laundered copies, of which the baseline is not asked.
    """

    key: str
    copy: int  # 0 = as it is, from 1 on laundered
    whisper: NDArray[np.float32]
    last: NDArray[np.float32]
    spectral: NDArray[np.float32]


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
        backbone: WhisperBackbone,
        new_voice_activity: Callable[[], VoiceActivity],
        last_norm: LastNorm,
        *,
        seed: int,
    ) -> None:
        self._folder, self._seed = folder, seed
        self._whole = SpeechFeatures(backbone)
        self._early = SpeechFeatures(backbone, last_layer=EARLY_LAYER)
        self._new_voice_activity, self._last_norm = new_voice_activity, last_norm
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def identity(self) -> str:
        """What the numbers depend on besides the sound."""
        return self._whole.identity

    def features(self, file: LabelledFile) -> Iterator[ClipFeatures]:
        """Of the recording and its laundered copies; nothing for a copy without speech."""
        for copy in copies_of(file.key):
            found = self._cached(file, copy)
            if found:
                yield found

    def slices(self, sounds: Iterable[NDArray[np.float32]]) -> Iterator[SliceStack | None]:
        """Slices of each of several 16 kHz sounds, as a screening reads them; None for one without speech.

        Windows that the sounds have in common are read once.
        """
        known: dict[bytes, list[tuple[float, WindowFeatures]]] = {}
        for sound in sounds:
            if not self._folder:
                yield self._sliced(sound, known)
                continue
            recipe = f"{RECIPE}|{self._whole.identity}|slices every {SLICE_HOP_FRAMES}|".encode()
            path = self._folder / f"{hashlib.sha256(recipe + sound.tobytes()).hexdigest()[:32]}.npz"
            if not path.exists():
                _save_slices(path, self._sliced(sound, known))
            yield _load_slices(path)

    def _sliced(
        self, sound: NDArray[np.float32], known: dict[bytes, list[tuple[float, WindowFeatures]]]
    ) -> SliceStack | None:
        windows = survey_speech([Waveform(sound, SAMPLE_RATE_HZ)], self._new_voice_activity()).windows
        found: list[SliceFeatures] = []
        for window, starts in zip(windows, owned_starts(windows), strict=True):
            content = window.samples.tobytes() + window.speech.tobytes() + bytes(starts)
            if content not in known:
                read = ReadWindow.of(window, self._early.states([window])[:, 0])
                known[content] = [(s.start_seconds - window.start_seconds, s.features) for s in slices_of(read, starts)]
            found += [SliceFeatures(window.start_seconds + offset, features) for offset, features in known[content]]
        return SliceStack.of(found) if found else None

    def _cached(self, file: LabelledFile, copy: int) -> ClipFeatures | None:
        if not self._folder:
            return self._compute(file, copy)
        content = hashlib.sha256(file.path.read_bytes()).hexdigest()
        name = hashlib.sha256(f"{RECIPE}|{self._seed}|{self._whole.identity}|{copy}|{content}|{file.key}".encode())
        path = self._folder / f"{name.hexdigest()[:32]}.npz"
        if not path.exists():
            _save(path, self._compute(file, copy))
        return _load(path, file.key, copy)

    def _compute(self, file: LabelledFile, copy: int) -> ClipFeatures | None:
        samples = copy_of(load_recording(file.path), file.key, copy, self._seed)
        survey = survey_speech([Waveform(samples, SAMPLE_RATE_HZ)], self._new_voice_activity())
        return self._of_window(file.key, copy, survey.windows[0]) if survey.windows else None

    def _of_window(self, key: str, copy: int, window: SpeechWindow) -> ClipFeatures:
        if copy:
            early = ReadWindow.of(window, self._early.states([window])[:, 0].cpu()).features(window.speech)
            nothing = np.zeros(POOLED_WIDTH, np.float32)
            return ClipFeatures(key, copy, early.whisper, nothing, early.spectral.astype(np.float32))
        states = self._whole.states([window])[:, 0].cpu()
        read = ReadWindow.of(window, torch.cat([states, self._last_norm(states[-1:])])).features(window.speech)
        early_layers = read.whisper[: EARLY_LAYER + 1].copy()
        return ClipFeatures(key, copy, early_layers, read.whisper[-1], read.spectral.astype(np.float32))


def load_recording(path: Path) -> NDArray[np.float32]:
    """A labelled 16 kHz mono recording, (n,) float32. Training data is trusted: no sandbox."""
    samples, rate_hz = soundfile.read(path, dtype="float32")
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise ConfigError(f"{path}: want mono sound at {SAMPLE_RATE_HZ} Hz, got {samples.shape} at {rate_hz} Hz")
    return np.asarray(samples, np.float32)


def _save(path: Path, features: ClipFeatures | None) -> None:
    found = {} if features is None else {name: getattr(features, name) for name in ("whisper", "last", "spectral")}
    _save_arrays(path, found)


def _load(path: Path, key: str, copy: int) -> ClipFeatures | None:
    with np.load(path, allow_pickle=False) as stored:
        return ClipFeatures(key, copy, stored["whisper"], stored["last"], stored["spectral"]) if stored.files else None


def _save_slices(path: Path, slices: SliceStack | None) -> None:
    names = {"starts": "start_seconds", "whisper": "whisper", "spectral": "spectral"}
    _save_arrays(path, {} if slices is None else {name: getattr(slices, own) for name, own in names.items()})


def _load_slices(path: Path) -> SliceStack | None:
    with np.load(path, allow_pickle=False) as stored:
        return SliceStack(stored["starts"], stored["whisper"], stored["spectral"]) if stored.files else None


def _save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """One .npz, empty where nothing is scored; named when it is whole, so that a killed run leaves no half file."""
    temporary = path.with_suffix(".tmp.npz")
    with temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    temporary.rename(path)
