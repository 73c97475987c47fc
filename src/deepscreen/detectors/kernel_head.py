"""The kernel head: log-odds by likeness to examples, a support vector machine kept as plain arrays.

It draws curved borders where a linear head draws straight ones. Cortes and Vapnik, "Support-vector networks", 1995.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray, LinearHead

Floats = NDArray[np.floating[Any]]
STORED = np.float16  # of axes and examples: the log-odds move by less than 0.001


@dataclass(frozen=True, slots=True, repr=False)
class KernelHead:
    """``logit = sum_i coef_i exp(-|z - examples_i|^2 / width) + intercept``, with ``z = (x - mean) / scale @ axes``.

    ``axes`` (d, k) float32: principal axes of the standardised features; ``examples`` (n, k) float32.
    """

    mean: FloatArray
    scale: FloatArray
    axes: NDArray[np.float32]
    examples: NDArray[np.float32]
    coef: FloatArray
    width: float
    intercept: float

    def logit(self, features: Floats) -> FloatArray:
        """Log-odds of spoof for ``features`` (n, d) or (d,); each row is read by itself, so company does not matter."""
        rows = np.asarray(features)
        if rows.ndim == 1:
            return np.asarray(self._logit_of_one(rows))
        return np.array([self._logit_of_one(row) for row in rows])

    def _logit_of_one(self, row: Floats) -> float:
        z = ((row - self.mean) / self.scale).astype(np.float32) @ self.axes
        likeness = np.exp(-np.sum((self.examples - z) ** 2, axis=1) / self.width)
        return float(np.sum(self.coef * likeness)) + self.intercept

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The head as named arrays for a safetensors file."""
        parts: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "scale": self.scale,
            "axes": self.axes.astype(STORED),
            "examples": self.examples.astype(STORED),
            "coef": self.coef,
            "constants": np.array([self.width, self.intercept]),
        }
        return {f"{prefix}.{name}": np.ascontiguousarray(value) for name, value in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> KernelHead:
        """The head that ``arrays`` stored under *prefix*."""
        mean, scale, axes, examples, coef, constants = (
            arrays[f"{prefix}.{name}"] for name in ("mean", "scale", "axes", "examples", "coef", "constants")
        )
        width, intercept = (float(value) for value in constants)
        return cls(mean, scale, axes.astype(np.float32), examples.astype(np.float32), coef, width, intercept)


ClassHead = LinearHead | KernelHead


def class_head_from_arrays(arrays: Mapping[str, NDArray[Any]], prefix: str) -> ClassHead:
    """The head of either sort that ``arrays`` stored under *prefix*."""
    if f"{prefix}.examples" in arrays:
        return KernelHead.from_arrays(arrays, prefix)
    return LinearHead.from_arrays(arrays, prefix)
