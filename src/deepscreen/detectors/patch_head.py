"""The head that draws the map: how much each patch differs from the rest of its view, the way manipulated patches do.

What a picture shows, its light and its coding say more about a patch's tokens than any manipulation. All patches of a
view share that, so the view's own mean takes it away. On makers that no fit had seen, pixel AUC went from 0.74 to 0.82
by this, and to 0.85 by reading each patch together with its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deepscreen.detectors.clip_features import GRID
from deepscreen.detectors.linear_head import FloatArray

NEIGHBOURHOOD = 3  # patches a side
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, repr=False)
class PatchHead:
    """``weights`` (d,) on deviations from the view's mean. ``offset`` is so low that honest photographs stay cold.

    A picture that was generated as a whole differs nowhere from itself: where the view's own log-odds exceed
    ``lifted_from``, which few honest photographs reach, the whole map is lifted by the excess.
    """

    weights: FloatArray
    offset: float
    lifted_from: float

    def heat(self, patches: Floats, view_logit: float) -> FloatArray:
        """Of each patch (14, 14) log(1 + odds), from the view's patch tokens (196, d) and the log-odds of the view.

        Where the odds are high that is the log-odds; where they are low it is 0, and nothing is to be seen.
        """
        single = np.asarray(np.sum(np.asarray(patches) * self.weights, axis=-1, keepdims=True, dtype=np.float64))
        lift = max(0.0, view_logit - self.lifted_from)
        return np.logaddexp(0.0, np.asarray(centred(single).reshape(GRID, GRID) + self.offset + lift, dtype=np.float64))

    def arrays(self, prefix: str) -> dict[str, FloatArray]:
        """The head as named arrays for a safetensors file."""
        constants = np.array([self.offset, self.lifted_from])
        return {f"{prefix}.weights": np.ascontiguousarray(self.weights), f"{prefix}.constants": constants}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> PatchHead:
        """The head that ``arrays`` stored under *prefix*."""
        offset, lifted_from = (float(value) for value in arrays[f"{prefix}.constants"])
        return cls(arrays[f"{prefix}.weights"], offset, lifted_from)


def centred(patches: Floats) -> Floats:
    """(196, d): the mean of each patch and its eight neighbours, less the mean over all of them."""
    grid = np.asarray(patches).reshape(GRID, GRID, -1)
    together = uniform_filter(grid, size=(NEIGHBOURHOOD, NEIGHBOURHOOD, 1), mode="mirror").reshape(GRID * GRID, -1)
    return np.asarray(together - together.mean(axis=0))
