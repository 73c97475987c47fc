"""The head on one window of speech: it is compared with labelled examples in each of three views.

A kernel machine: the log-odds are a weighted sum over the examples of how near the window lies to each, and nearness is
the mean over views of a Gaussian of the distance there. So the log-odds are a sum with one term for each view.
*Source:* Saunders et al. 1998, "Ridge regression learning algorithm in dual variables"; Rahimi and Recht's random
cosines in place of the exact kernel cost 2 points of equal error rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.speech_features import VIEWS, WindowFeatures

REACH = 6.0  # standard deviations; what lies further out is taken to lie there
STEP = REACH / 127  # examples are kept as whole steps in one byte
WHISPER = "whisper"
HEAD_VIEWS = (WHISPER, *VIEWS)

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, repr=False)
class ViewExamples:
    """The examples as one view shows them.

    ``mean``, ``scale``: (d,), of the view's features. ``examples``: (n, d) float32, standardised and rounded to STEP;
    ``norms``: (n,), their squared lengths. ``width``: of the Gaussian; ``share``: of this view in the nearness, all
    views sum to 1.
    """

    mean: FloatArray
    scale: FloatArray
    examples: NDArray[np.float32]
    norms: NDArray[np.float32]
    width: float
    share: float

    @classmethod
    def of(cls, features: FloatArray, weights: FloatArray, *, width: float, share: float) -> ViewExamples:
        """Examples with ``features`` (n, d); ``weights``: (n,), what each counts in mean and spread."""
        p = weights / weights.sum()
        mean = p @ features
        scale = np.sqrt(p @ (features - mean) ** 2) + 1e-6
        steps = np.rint(_standardised(features, mean, scale) / STEP).astype(np.int8)
        return cls._of_steps(mean, scale, steps, width, share)

    @classmethod
    def _of_steps(
        cls, mean: FloatArray, scale: FloatArray, steps: NDArray[np.int8], width: float, share: float
    ) -> ViewExamples:
        examples = steps * np.float32(STEP)
        return cls(mean, scale, examples, np.asarray((examples**2).sum(axis=1), np.float32), width, share)

    def distances(self, features: FloatArray) -> NDArray[np.float32]:
        """(m, n) mean squared distance per feature of ``features`` (m, d) from the examples."""
        return self._distances_from(_standardised(features, self.mean, self.scale).astype(np.float32))

    def own_distances(self) -> NDArray[np.float32]:
        """(n, n) the same of the examples from each other."""
        return self._distances_from(self.examples)

    def nearness(self, distances: NDArray[np.float32], factor: float = 1.0) -> NDArray[np.float32]:
        """This view's term of the kernel at ``distances``; *factor* narrows the Gaussian."""
        return np.asarray(self.share * np.exp(-self.width * factor * distances), np.float32)

    def differentiable_nearness(self, features: Tensor) -> Tensor:
        """(n,) this view's term for ``features`` (d,), with gradients."""
        mean, scale = (torch.from_numpy(a).to(features.device) for a in (self.mean, self.scale))
        standardised = ((features.double() - mean) / scale).clamp(-REACH, REACH)
        examples = torch.from_numpy(self.examples).to(features.device).double()
        return self.share * torch.exp(-self.width * (examples - standardised).square().mean(dim=1))

    def _distances_from(self, standardised: NDArray[np.float32]) -> NDArray[np.float32]:
        squares = (standardised**2).sum(axis=1)[:, None] + self.norms - 2 * standardised @ self.examples.T
        return np.asarray(np.maximum(0, squares) / np.float32(len(self.mean)))

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """As named arrays for a safetensors file."""
        numbers = np.array([self.width, self.share])
        steps = np.rint(self.examples / STEP).astype(np.int8)
        own = {"mean": self.mean, "scale": self.scale, "steps": steps, "width_share": numbers}
        return {f"{prefix}.{name}": value for name, value in own.items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> ViewExamples:
        """What ``arrays`` stored under *prefix*."""
        mean, scale, steps, (width, share) = (
            arrays[f"{prefix}.{name}"] for name in ("mean", "scale", "steps", "width_share")
        )
        return cls._of_steps(
            mean.astype(np.float64), scale.astype(np.float64), steps.astype(np.int8), float(width), float(share)
        )


@dataclass(frozen=True, slots=True, repr=False)
class AudioHead:
    """``views``: one for each of HEAD_VIEWS, in that order, of the same examples. ``coef``: (n,), one an example.

    The Whisper view is the pooled states of ``layers``.
    """

    layers: tuple[int, ...]
    views: tuple[ViewExamples, ...]
    coef: FloatArray
    intercept: float

    def logit(self, features: WindowFeatures) -> float:
        """Log-odds of spoof for one window."""
        read = views_of(features.whisper[None], features.spectral[None], self.layers)
        return float(self.view_logits(read)[0].sum()) + self.intercept

    def view_logits(self, features: Mapping[str, FloatArray]) -> FloatArray:
        """(m, views): what each view adds to the log-odds of windows, see ``views_of``; the rest is ``intercept``."""
        terms = [
            view.nearness(view.distances(features[name])).astype(np.float64) @ self.coef
            for name, view in self._named_views()
        ]
        return np.stack(terms, axis=1)

    @property
    def last_layer(self) -> int:
        """The last Whisper layer that is read."""
        return max(self.layers)

    def differentiable_whisper_logit(self, pooled: Tensor) -> Tensor:
        """What the Whisper view adds to the log-odds, for ``pooled`` (layer entries, 1024), with gradients."""
        nearness = self.views[0].differentiable_nearness(pooled[list(self.layers)].reshape(-1))
        return (nearness * torch.from_numpy(self.coef).to(nearness.device)).sum()

    def _named_views(self) -> Iterator[tuple[str, ViewExamples]]:
        return zip(HEAD_VIEWS, self.views, strict=True)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The head as named arrays for a safetensors file."""
        return {
            "layers": np.array(self.layers, np.float64),
            "coef": self.coef,
            "intercept": np.array([self.intercept]),
            **{key: array for name, view in self._named_views() for key, array in view.arrays(name).items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> AudioHead:
        """The head that ``arrays`` stored."""
        return cls(
            tuple(int(layer) for layer in arrays["layers"]),
            tuple(ViewExamples.from_arrays(arrays, name) for name in HEAD_VIEWS),
            arrays["coef"].astype(np.float64),
            float(arrays["intercept"][0]),
        )


def views_of(
    whisper: NDArray[np.float32], spectral: NDArray[np.floating], layers: tuple[int, ...]
) -> dict[str, FloatArray]:
    """By name of HEAD_VIEWS what it shows of m windows; ``whisper``: (m, entries, 1024), ``spectral``: (m, 431)."""
    states = whisper[:, list(layers)].reshape(len(whisper), -1).astype(np.float64)
    return {WHISPER: states} | {name: spectral[:, view].astype(np.float64) for name, view in VIEWS.items()}


def _standardised(features: FloatArray, mean: FloatArray, scale: FloatArray) -> FloatArray:
    return np.asarray(np.clip((features - mean) / scale, -REACH, REACH), np.float64)
