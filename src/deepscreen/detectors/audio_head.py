"""The head on one window of speech: a regression on Whisper states, one on spectral statistics, and their fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.speech_features import WindowFeatures


@dataclass(frozen=True, slots=True, repr=False)
class AudioHead:
    """``whisper`` reads the pooled states of ``layers``, ``spectral`` the LFCC statistics, ``fusion`` both logits."""

    layers: tuple[int, ...]
    whisper: LinearHead
    spectral: LinearHead
    fusion: LinearHead

    def logit(self, features: WindowFeatures) -> float:
        """Log-odds of spoof for one window."""
        whisper = self.whisper.logit(features.whisper[list(self.layers)].ravel().astype(np.float64))
        return float(self.fusion.logit(np.array([float(whisper), float(self.spectral.logit(features.spectral))])))

    @property
    def whisper_share(self) -> float:
        """Log-odds of the window per log-odds of the Whisper part."""
        return float(self.fusion.coef[0] / self.fusion.scale[0])

    def differentiable_whisper_logit(self, pooled: Tensor) -> Tensor:
        """The Whisper part's log-odds for ``pooled`` (7, 1024), with gradients."""
        head = self.whisper
        mean, scale, coef = (torch.from_numpy(a).to(pooled.device) for a in (head.mean, head.scale, head.coef))
        features = pooled[list(self.layers)].reshape(-1).double()
        return ((features - mean) / scale * coef).sum() + head.intercept

    def arrays(self) -> dict[str, FloatArray]:
        """The head as named arrays for a safetensors file."""
        parts = {"whisper": self.whisper, "spectral": self.spectral, "fusion": self.fusion}
        heads = {k: v for name, head in parts.items() for k, v in head.arrays(name).items()}
        return {"layers": np.array(self.layers, np.float64), **heads}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> AudioHead:
        """The head that ``arrays`` stored."""
        parts = (LinearHead.from_arrays(arrays, name) for name in ("whisper", "spectral", "fusion"))
        return cls(tuple(int(layer) for layer in arrays["layers"]), *parts)
