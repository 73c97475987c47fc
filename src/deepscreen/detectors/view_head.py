"""The head on one CLIP view: its pool gives the logit (class tokens alone, as shipped), and the patches the map."""

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
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.views import VIEW_PX
from deepscreen.media.samples import Pixels

TOP_SHARE = 0.1  # of the patches: what a small manipulation must fill to move the pooled patch logit
MASKED_SHARE = 0.1  # of the patches, for the faithfulness check
MASK_BLUR_SIGMA_PX = 12.0  # longer than a patch: nothing that a detector could read is left
RANDOM_SEED = 20260101  # the same random tenth for every view, so that a record is reproducible
LOGIT_DECIMALS = 3


@dataclass(frozen=True, slots=True, repr=False)
class ViewHead:
    """``classes`` reads class tokens, ``patches`` each patch; ``pool`` joins [class, patch mean, patch top mean]."""

    classes: ClassHead
    patches: LinearHead
    pool: LinearHead

    def patch_logits(self, tokens: ViewTokens) -> FloatArray:
        """Log-odds of each patch, (14, 14) float64, spoof > 0."""
        return self.patches.logit(tokens.patches).reshape(GRID, GRID)

    def read(self, tokens: ViewTokens) -> tuple[float, FloatArray]:
        """Log-odds of the view, and of its patches (14, 14): the map that went into them."""
        patches = self.patch_logits(tokens)
        class_logit = self.classes.logit(tokens.classes.ravel())
        return float(self.pool.logit(pooled_parts(class_logit, patches))), patches

    def logit(self, tokens: ViewTokens) -> float:
        """Log-odds of the view."""
        return self.read(tokens)[0]

    def arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The head as named arrays for a safetensors file."""
        parts = {"classes": self.classes, "patches": self.patches, "pool": self.pool}
        return {k: v for name, head in parts.items() for k, v in head.arrays(f"{prefix}.{name}").items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> ViewHead:
        """The head that ``arrays`` stored under *prefix*."""
        patches, pool = (LinearHead.from_arrays(arrays, f"{prefix}.{name}") for name in ("patches", "pool"))
        return cls(class_head_from_arrays(arrays, f"{prefix}.classes"), patches, pool)


def pooled_parts(class_logit: FloatArray | float, patch_logits: FloatArray) -> FloatArray:
    """[class logit, mean patch logit, mean of the top tenth] of one view; ``patch_logits`` of any shape."""
    flat = np.sort(patch_logits.ravel())
    top = flat[-max(1, round(TOP_SHARE * flat.size)) :]
    return np.array([float(class_logit), float(flat.mean()), float(top.mean())])


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
