"""What the audio heads read of a window of speech: pooled Whisper states and spectral statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.nets.whisper import LAYERS, WhisperBackbone
from deepscreen.detectors.phase import N_PHASE_STATISTICS, PhaseTracks
from deepscreen.detectors.spectral import N_STATISTICS, LfccTracks
from deepscreen.detectors.speech import SpeechWindow

N_SPECTRAL = N_STATISTICS + N_PHASE_STATISTICS
# What the spectral views read of ``WindowFeatures.spectral``.
VIEWS: Mapping[str, slice] = MappingProxyType(
    {"lfcc": slice(0, N_STATISTICS), "phase": slice(N_STATISTICS, N_SPECTRAL)}
)
POOLED_WIDTH = 1024  # mean and standard deviation of 512 channels
_VARIANCE_FLOOR = 1e-8  # keeps the gradient of the root finite


@dataclass(frozen=True, slots=True, repr=False)
class WindowFeatures:
    """Of one window. ``whisper``: (entries, 1024) float32, a row for a layer entry; ``spectral``: (431,), see VIEWS."""

    whisper: NDArray[np.float32]
    spectral: NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class ReadWindow:
    """A window with its states (entries, 150, 512) and tracks, of which any stretch can be read at little cost."""

    window: SpeechWindow
    states: Tensor
    lfcc: LfccTracks
    phase: PhaseTracks

    @classmethod
    def of(cls, window: SpeechWindow, states: Tensor) -> ReadWindow:
        """The tracks are of the levelled window."""
        samples = window.levelled()
        return cls(window, states, LfccTracks.of(samples, len(window.speech)), PhaseTracks.of(samples))

    def features(self, speech: NDArray[np.bool_]) -> WindowFeatures:
        """Features of the frames in *speech*, (300,) bool: of the whole window's speech, or of a stretch of it."""
        pooled = pooled_states(self.states, state_mask(speech)).cpu().numpy()
        return WindowFeatures(pooled, np.concatenate([self.lfcc.statistics(speech), self.phase.statistics(speech)]))


class SpeechFeatures:
    """Turns windows of speech into features with a frozen Whisper encoder; one window never changes another's."""

    def __init__(self, backbone: WhisperBackbone, *, last_layer: int = LAYERS) -> None:
        self.backbone, self.last_layer = backbone, last_layer

    @property
    def identity(self) -> str:
        """What the numbers depend on besides the sound: device class, precision, batch size."""
        b = self.backbone
        return f"whisper-base|{b.device.type}|{b.precision}|{b.batch_size}"

    def features(self, windows: Iterable[SpeechWindow]) -> Iterator[WindowFeatures]:
        """The features of each window, in order."""
        return (read.features(read.window.speech) for read in self.read(windows))

    def read(self, windows: Iterable[SpeechWindow]) -> Iterator[ReadWindow]:
        """Each window in order; windows and Whisper states of one batch are held at a time."""
        left = iter(windows)
        while batch := list(islice(left, self.backbone.batch_size)):
            states = self.states(batch)
            for k, window in enumerate(batch):
                yield ReadWindow.of(window, states[:, k])

    def states(self, windows: Sequence[SpeechWindow]) -> Tensor:
        """(last_layer + 1, n, 150, 512) float32: hidden states of levelled windows, one frame per 20 ms."""
        samples = torch.from_numpy(np.stack([window.levelled() for window in windows]))
        return self.backbone.hidden_states(samples, last_layer=self.last_layer)


def state_mask(speech: NDArray[np.bool_]) -> Tensor:
    """Which of the 150 Whisper frames are speech: those of which a half is; (150,) bool."""
    return torch.from_numpy(speech[0::2] | speech[1::2])


def pooled_states(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the frames in *mask*: (..., frames, width) to (..., 2 * width) float32."""
    kept = states[..., mask.to(states.device), :]
    mean = kept.mean(dim=-2)
    variance = (kept - mean.unsqueeze(-2)).square().mean(dim=-2)
    return torch.cat([mean, (variance + _VARIANCE_FLOOR).sqrt()], dim=-1)
