"""How well heatmaps show the right place, on the grid of patches that they are computed on.

A mask says which share of each patch was made; a map gives each patch its heat, log(1 + odds), which its pixels share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.evidence.scale import WARM
from deepscreen.training.map_fit import MOST_WARM_SHARE

HIT_SHARE = 0.5  # of the hottest patch that was made: the pointing game
DECIMALS = 3


@dataclass(frozen=True, slots=True, repr=False)
class ReadMap:
    """``heat`` (196,) of a view's patches, and the share (196,) of each patch that was made."""

    maker: str
    heat: FloatArray
    mask: NDArray[np.float32]

    @property
    def has_both(self) -> bool:
        """Whether there are made and untouched pixels, so that an order can be judged."""
        return 0 < float(self.mask.mean()) < 1


def pixel_auc(heat: FloatArray, mask: NDArray[np.float32]) -> float:
    """AUC of pixels, made against untouched; of one picture, or of many put together (n, 196)."""
    values, made = np.asarray(heat).ravel(), np.asarray(mask, dtype=np.float64).ravel()
    labels = np.repeat([1, 0], len(values))
    return float(roc_auc_score(labels, np.tile(values, 2), sample_weight=np.concatenate([made, 1 - made])))


def iou(heat: FloatArray, mask: NDArray[np.float32]) -> float:
    """Made and warm pixels, over pixels that are either."""
    warm = heat > WARM
    made = float(mask.sum())
    return float(mask[warm].sum()) / max(made + float((1 - mask[warm]).sum()), 1e-9)


def map_figures(maps: Sequence[ReadMap]) -> dict[str, Any]:
    """Means over the maps that can be judged; pooled: all pixels in one order, so that their level counts too."""
    judged = [one for one in maps if one.has_both]
    if not judged:
        return {"n": 0}
    aucs = [pixel_auc(one.heat, one.mask) for one in judged]
    figures = {
        "pixel_auc": float(np.mean(aucs)),
        "pixel_auc_pooled": pixel_auc(np.stack([o.heat for o in judged]), np.stack([o.mask for o in judged])),
        "iou": float(np.mean([iou(one.heat, one.mask) for one in judged])),
        "pointing": float(np.mean([one.mask[int(one.heat.argmax())] > HIT_SHARE for one in judged])),
        # What a map that knows nothing would hit.
        "pointing_by_chance": float(np.mean([(one.mask > HIT_SHARE).mean() for one in judged])),
    }
    return {"n": len(judged)} | {name: round(value, DECIMALS) for name, value in figures.items()}


def by_maker(maps: Sequence[ReadMap]) -> dict[str, Any]:
    """The figures of all *maps*, and of each maker's."""
    makers = sorted({one.maker for one in maps})
    apart = {maker: map_figures([one for one in maps if one.maker == maker]) for maker in makers}
    return map_figures(maps) | {"by_maker": apart}


def warmth(untouched: Sequence[FloatArray]) -> dict[str, Any]:
    """Share of warm pixels in untouched photographs, and how many keep to the limit."""
    if not untouched:
        return {"n": 0}
    shares = np.array([float((heat > WARM).mean()) for heat in untouched])
    figures = {
        "warm_share_mean": float(shares.mean()),
        "warm_share_p95": float(np.percentile(shares, 95)),
        "pictures_within_limit": float((shares <= MOST_WARM_SHARE).mean()),
    }
    return {"n": len(shares)} | {name: round(value, DECIMALS) for name, value in figures.items()}
