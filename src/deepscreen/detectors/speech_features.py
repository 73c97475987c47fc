"""What the audio heads read of a window of speech: pooled Whisper states and spectral statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.nets.whisper import WhisperBackbone
from deepscreen.detectors.spectral import lfcc_statistics
from deepscreen.detectors.speech import SpeechWindow

LAYER_ENTRIES = 7  # the embedding and six layers
POOLED_WIDTH = 1024  # mean and standard deviation of 512 channels
_VARIANCE_FLOOR = 1e-8  # keeps the gradient of the root finite


@dataclass(frozen=True, slots=True, repr=False)
class WindowFeatures:
    """Features of one window. ``whisper``: (7, 1024) float32, one row a layer entry; ``spectral``: (239,) float64."""

    whisper: NDArray[np.float32]
    spectral: NDArray[np.float64]


class SpeechFeatures:
    """Turns windows of speech into features with a frozen Whisper encoder; one window never changes another's."""

    def __init__(self, backbone: WhisperBackbone) -> None:
        self.backbone = backbone

    @property
    def identity(self) -> str:
        """What the numbers depend on besides the sound: device class, precision, batch size."""
        b = self.backbone
        return f"whisper-base|{b.device.type}|{b.precision}|{b.batch_size}"

    def features(self, windows: Sequence[SpeechWindow]) -> Iterator[WindowFeatures]:
        """The features of each window, in order; the Whisper states of one batch are held at a time."""
        size = self.backbone.batch_size
        for start in range(0, len(windows), size):
            batch = windows[start : start + size]
            states = self.states(batch)
            for k, window in enumerate(batch):
                pooled = pooled_states(states[:, k], state_mask(window)).cpu().numpy()
                yield WindowFeatures(pooled, lfcc_statistics(window.levelled(), window.speech))

    def states(self, windows: Sequence[SpeechWindow]) -> Tensor:
        """(7, n, 150, 512) float32: the hidden states of levelled windows, one frame per 20 ms."""
        return self.backbone.hidden_states(torch.from_numpy(np.stack([w.levelled() for w in windows])))


def state_mask(window: SpeechWindow) -> Tensor:
    """Which of the 150 Whisper frames are speech: those of which a half is; (150,) bool."""
    return torch.from_numpy(window.speech[0::2] | window.speech[1::2])


def pooled_states(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and standard deviation over the frames in *mask*: (..., frames, width) to (..., 2 * width) float32."""
    kept = states[..., mask.to(states.device), :]
    mean = kept.mean(dim=-2)
    variance = (kept - mean.unsqueeze(-2)).square().mean(dim=-2)
    return torch.cat([mean, (variance + _VARIANCE_FLOOR).sqrt()], dim=-1)
