"""A white-box attack on a picture head: what someone who has the open weights can do to its log-odds.

Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018 (projected gradient
descent in the maximum norm). Differs from the source in: it starts from the view itself, not from a random point.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deepscreen.detectors.clip_features import CLASS_BLOCKS
from deepscreen.detectors.kernel_head import ClassHead
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.nets.clip import MEAN, STD, ClipBlock, ClipEmbeddings
from deepscreen.detectors.view_head import ViewHead
from deepscreen.media.samples import Pixels
from deepscreen.weights.store import VerifiedWeights, load_tensors

STEPS = 10
STEP_SHARE = 0.25  # of the bound, a step
LAYER = "vision_model.encoder.layers."


class WhiteBox:
    """A head and its backbone with gradients, in fp32: the log-odds differ from a screening's in bf16 a little."""

    def __init__(self, weights: VerifiedWeights, head: ViewHead, *, steps: int = STEPS) -> None:
        tensors = load_tensors(weights)
        self._embeddings = ClipEmbeddings({k.removeprefix("vision_model."): t for k, t in tensors.items()})
        self._blocks = [ClipBlock(_of_block(tensors, number)) for number in range(max(CLASS_BLOCKS))]
        self._head, self._steps = head, steps
        self._mean, self._std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))

    def logit(self, view: Tensor) -> Tensor:
        """Log-odds of one view (3, 224, 224) in [0, 1]."""
        state = self._embeddings((view[None] - self._mean) / self._std)
        states = {}
        for number, block in enumerate(self._blocks, start=1):
            state = block(state)
            states[number] = state
        classes = torch.cat([states[b][0, 0] for b in CLASS_BLOCKS])
        return class_logit(self._head.classes, classes)

    def attacked(self, view: Pixels, *, bound: float, towards_spoof: bool) -> Pixels:
        """A view of which no value differs by more than *bound* (of 255), pushed one way."""
        start = torch.from_numpy(view.copy()).permute(2, 0, 1).float() / 255
        limit = bound / 255
        way = 1.0 if towards_spoof else -1.0
        moved = start.clone()
        for _ in range(self._steps):
            moved.requires_grad_()
            (slope,) = torch.autograd.grad(self.logit(moved), moved)
            with torch.no_grad():
                stepped = moved + way * STEP_SHARE * limit * slope.sign()
                moved = torch.clamp(torch.clamp(stepped, start - limit, start + limit), 0, 1)
        return np.ascontiguousarray((moved * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def _of_block(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    prefix = f"{LAYER}{number}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _linear(head: LinearHead, features: Tensor) -> Tensor:
    mean, scale, coef = (torch.from_numpy(v).to(features.dtype) for v in (head.mean, head.scale, head.coef))
    out: Tensor = (features - mean) / scale @ coef + head.intercept
    return out


def class_logit(head: ClassHead, features: Tensor) -> Tensor:
    """As ``logit`` of either sort of head says for ``features`` (d,), with a slope to follow."""
    if isinstance(head, LinearHead):
        return _linear(head, features)
    mean, scale, axes, examples, coef = (
        torch.from_numpy(v).to(features.dtype) for v in (head.mean, head.scale, head.axes, head.examples, head.coef)
    )
    z = (features - mean) / scale @ axes
    likeness = torch.exp(-((examples - z) ** 2).sum(dim=1) / head.width)
    out: Tensor = likeness @ coef + head.intercept
    return out
