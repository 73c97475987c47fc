"""The head on one CLIP view: class tokens give its log-odds, and patches its map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import GRID, ClipFeatures, ViewTokens
from deepscreen.detectors.contract import Faithfulness
from deepscreen.detectors.kernel_head import ClassHead, class_head_from_arrays
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.patch_head import PatchHead
from deepscreen.detectors.views import VIEW_PX
from deepscreen.media.samples import Pixels

MASKED_SHARE = 0.1  # of the patches, for the faithfulness check
MASK_BLUR_SIGMA_PX = 12.0  # longer than a patch: nothing that a detector could read is left
RANDOM_SEED = 20260101  # the same random tenth for every view, so that a record is reproducible
LOGIT_DECIMALS = 3


@dataclass(frozen=True, slots=True, repr=False)
class ViewHead:
    """``classes`` reads the view's class tokens, ``patches`` draws its map."""

    classes: ClassHead
    patches: PatchHead

    def read(self, tokens: ViewTokens) -> tuple[float, FloatArray]:
        """Log-odds of the view, and the heat of its patches (14, 14)."""
        logit = self.logit(tokens)
        return logit, self.patches.heat(tokens.patches, logit)

    def logit(self, tokens: ViewTokens) -> float:
        """Log-odds of the view."""
        return float(self.classes.logit(tokens.classes.ravel()))

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The head as named arrays for a safetensors file."""
        return self.classes.arrays(f"{prefix}.classes") | self.patches.arrays(f"{prefix}.patches")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> ViewHead:
        """The head that ``arrays`` stored under *prefix*."""
        patches = PatchHead.from_arrays(arrays, f"{prefix}.patches")
        return cls(class_head_from_arrays(arrays, f"{prefix}.classes"), patches)


def masked_views(view: Pixels, patch_logits: FloatArray) -> tuple[Pixels, Pixels]:
    """The view with its hottest tenth of patches blurred away, and with a random tenth."""
    count = round(MASKED_SHARE * patch_logits.size)
    hottest = np.argsort(-patch_logits.ravel(), kind="stable")[:count]
    at_random = np.random.default_rng(RANDOM_SEED).permutation(patch_logits.size)[:count]
    blurred = np.asarray(cv2.GaussianBlur(view, (0, 0), MASK_BLUR_SIGMA_PX), dtype=np.uint8)
    return with_patches_from(view, blurred, hottest), with_patches_from(view, blurred, at_random)


def with_patches_from(view: Pixels, other: Pixels, patches: NDArray[np.int64]) -> Pixels:
    """*view* with the *patches* (numbers in the grid, row by row) of *other*."""
    chosen = np.zeros(GRID * GRID, dtype=bool)
    chosen[patches] = True
    cell = VIEW_PX // GRID
    pixel_mask = np.kron(chosen.reshape(GRID, GRID), np.ones((cell, cell), dtype=bool))
    return np.where(pixel_mask[:, :, None], other, view)


def faithfulness(
    head: ViewHead, features: ClipFeatures, view: Pixels, patch_logits: FloatArray, logit: float
) -> Faithfulness:
    """How much more the hottest tenth carries than a random tenth; one more pass of the backbone, on two views."""
    hottest, at_random = (head.logit(tokens) for tokens in features.tokens_of_pair(*masked_views(view, patch_logits)))
    drop_hottest, drop_random = (round(logit - masked, LOGIT_DECIMALS) for masked in (hottest, at_random))
    return Faithfulness(drop_hottest, drop_random, MASKED_SHARE)
