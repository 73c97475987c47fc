"""The linear head: a standardised logistic regression, kept as plain float64 arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class LinearHead:
    """``logit = (x - mean) / scale . coef + intercept``, in float64, one item at a time or many alike."""

    mean: FloatArray
    scale: FloatArray
    coef: FloatArray
    intercept: float

    def logit(self, features: NDArray[np.floating[Any]]) -> FloatArray:
        """Log-odds of spoof for ``features`` (n, d); each row is summed by itself, so company does not matter."""
        weights = self.coef / self.scale  # the features are many rows: better to standardise the weights
        offset = self.intercept - float(np.sum(self.mean * weights))
        return np.asarray(np.sum(np.asarray(features) * weights, axis=-1) + offset)

    def arrays(self, prefix: str) -> dict[str, FloatArray]:
        """The head as named arrays for a safetensors file."""
        parts = {"mean": self.mean, "scale": self.scale, "coef": self.coef, "intercept": np.array([self.intercept])}
        return {f"{prefix}.{name}": np.ascontiguousarray(value, dtype=np.float64) for name, value in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray], prefix: str) -> LinearHead:
        """The head that ``arrays`` stored under *prefix*."""
        mean, scale, coef, intercept = (arrays[f"{prefix}.{name}"] for name in ("mean", "scale", "coef", "intercept"))
        return cls(mean, scale, coef, float(intercept[0]))
