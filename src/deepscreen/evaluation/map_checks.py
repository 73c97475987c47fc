"""Whether a map shows what moves its score: deletion and insertion against random, and maps of shuffled weights.

Source: Petsiuk, Das and Saenko, "RISE", BMVC 2018 (deletion, insertion); Adebayo et al., "Sanity checks for saliency
maps", NeurIPS 2018. Differs from the sources: patches are exchanged for a blurred copy, up to 40 % of them, and the
difference to a random order is what is reported; weights are shuffled and not drawn anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.stats import spearmanr

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.nets.clip import ClipBackbone
from deepscreen.detectors.view_head import MASK_BLUR_SIGMA_PX, ViewHead, with_patches_from
from deepscreen.media.samples import Pixels
from deepscreen.weights.store import VerifiedWeights, load_tensors

SHARES = (0.05, 0.1, 0.2, 0.4)  # of the patches
SEED = 20260101
DECIMALS = 3


def deletion_and_insertion(views: Sequence[Pixels], head: ViewHead, features: ClipFeatures) -> dict[str, Any]:
    """Mean over *views* and shares of how much more the hottest patches move the log-odds than random ones do."""
    deleted, inserted = [], []
    for view in views:
        blurred = np.asarray(cv2.GaussianBlur(view, (0, 0), MASK_BLUR_SIGMA_PX), dtype=np.uint8)
        patches = head.read(features.tokens([view])[0])[1].ravel()
        hottest = np.argsort(-patches, kind="stable")
        at_random = np.random.default_rng(SEED).permutation(patches.size)
        losses = [_logits(view, blurred, order, head, features) for order in (hottest, at_random)]
        gains = [_logits(blurred, view, order, head, features) for order in (hottest, at_random)]
        deleted.append(float(np.mean(losses[1] - losses[0])))
        inserted.append(float(np.mean(gains[0] - gains[1])))
    return {"n": len(views), "deletion": _summary(deleted), "insertion": _summary(inserted)}


def shuffled_head(views: Sequence[Pixels], head: ViewHead, features: ClipFeatures) -> float:
    """Mean rank correlation of maps with those of the same head with its weights shuffled; near 0 is right."""
    rng = np.random.default_rng(SEED)
    other = replace(head, patches=replace(head.patches, weights=rng.permutation(head.patches.weights)))
    seen = features.tokens(views)
    return _mean_correlation([(head.read(tokens)[1], other.read(tokens)[1]) for tokens in seen])


def shuffled_backbone(
    views: Sequence[Pixels], head: ViewHead, features: ClipFeatures, weights: VerifiedWeights, folder: Path
) -> float:
    """The same with all weights of the backbone shuffled, tensor by tensor; *folder* is for its file."""
    shuffled = ClipFeatures(ClipBackbone(shuffled_weights(weights, folder)))
    pairs = zip(features.tokens(views), shuffled.tokens(views), strict=True)
    return _mean_correlation([(head.read(one)[1], head.read(other)[1]) for one, other in pairs])


def shuffled_weights(weights: VerifiedWeights, folder: Path) -> VerifiedWeights:
    """A file in *folder* with the same values in another order within each tensor."""
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name, tensor in sorted(load_tensors(weights).items()):
        order = torch.randperm(tensor.numel(), generator=generator)
        tensors[name] = tensor.flatten()[order].reshape(tensor.shape).contiguous()
    path = folder / "shuffled.safetensors"
    save_file(tensors, path)
    return replace(weights, path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _logits(
    view: Pixels, other: Pixels, order: NDArray[np.int64], head: ViewHead, features: ClipFeatures
) -> FloatArray:
    counts = [round(share * len(order)) for share in SHARES]
    return np.array(
        [head.logit(t) for t in features.tokens([with_patches_from(view, other, order[:n]) for n in counts])]
    )


def _mean_correlation(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    found = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in pairs]
    return round(float(np.mean(found)), DECIMALS)


def _summary(differences: Sequence[float]) -> dict[str, float]:
    values = np.asarray(differences)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    figures = {"mean": values.mean(), "low": values.mean() - 1.96 * error, "high": values.mean() + 1.96 * error}
    figures["share_better_than_random"] = (values > 0).mean()
    return {name: round(float(value), DECIMALS) for name, value in figures.items()}
