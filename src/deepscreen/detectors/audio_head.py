"""The head on one window of speech: one part reads Whisper states, one spectral statistics, and a fusion joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.speech_features import WindowFeatures


@dataclass(frozen=True, slots=True, repr=False)
class CosineHead:
    """A smooth non-linear head: ``linear`` on random cosines of the standardised features.

    Source: Rahimi and Recht 2007, "Random features for large-scale kernel machines" (Gaussian kernel).
    ``mean``, ``scale``: (d,); ``directions``: (d, n); ``phases``: (n,).
    """

    mean: FloatArray
    scale: FloatArray
    directions: FloatArray
    phases: FloatArray
    linear: LinearHead

    def logit(self, features: FloatArray) -> FloatArray:
        """Log-odds of spoof for ``features`` (..., d)."""
        return self.linear.logit(self.cosines(features))

    def cosines(self, features: FloatArray) -> FloatArray:
        """(..., n) in [-1, 1]."""
        standardised = (features - self.mean) / self.scale
        return np.asarray(np.cos(standardised @ self.directions + self.phases))

    def arrays(self, prefix: str) -> dict[str, FloatArray]:
        """The head as named arrays for a safetensors file."""
        own = {f"{prefix}.{name}": getattr(self, name) for name in ("mean", "scale", "directions", "phases")}
        return {**own, **self.linear.arrays(f"{prefix}.linear")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray], prefix: str) -> CosineHead:
        """The head that ``arrays`` stored under *prefix*."""
        mean, scale, directions, phases = (
            arrays[f"{prefix}.{name}"] for name in ("mean", "scale", "directions", "phases")
        )
        return cls(mean, scale, directions, phases, LinearHead.from_arrays(arrays, f"{prefix}.linear"))


@dataclass(frozen=True, slots=True, repr=False)
class AudioHead:
    """``whisper`` reads the pooled states of ``layers``, ``spectral`` the LFCC statistics, ``fusion`` both logits."""

    layers: tuple[int, ...]
    whisper: LinearHead
    spectral: CosineHead
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
        return {
            "layers": np.array(self.layers, np.float64),
            **self.whisper.arrays("whisper"),
            **self.spectral.arrays("spectral"),
            **self.fusion.arrays("fusion"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> AudioHead:
        """The head that ``arrays`` stored."""
        return cls(
            tuple(int(layer) for layer in arrays["layers"]),
            LinearHead.from_arrays(arrays, "whisper"),
            CosineHead.from_arrays(arrays, "spectral"),
            LinearHead.from_arrays(arrays, "fusion"),
        )
