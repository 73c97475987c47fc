"""The features that all picture and frame heads read: class tokens and patch tokens of several CLIP blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from deepscreen.detectors.nets.clip import ClipBackbone
from deepscreen.media.samples import Pixels

# Low-level traces live in the middle blocks, content in the last ones; heads on blocks 6 to 12 beat the last block
# alone on unseen sources. Patches are read at three depths of that range.
CLASS_BLOCKS = tuple(range(6, 13))
PATCH_BLOCKS = (6, 9, 12)
GRID = 14


@dataclass(frozen=True, slots=True, repr=False)
class ViewTokens:
    """Tokens of one view, float32: ``classes`` (7, 768) of blocks 6..12, ``patches`` (196, 2304) of blocks 6, 9, 12."""

    classes: NDArray[np.float32]
    patches: NDArray[np.float32]


class ClipFeatures:
    """Turns views into tokens, in fixed-size batches; one instance is shared by all detectors of a desk."""

    def __init__(self, backbone: ClipBackbone) -> None:
        self._backbone = backbone

    @property
    def identity(self) -> str:
        """What the numbers depend on besides the views: device class, precision, batch size."""
        b = self._backbone
        return f"clip-vit-b16|{b.device.type}|{b.precision}|{b.batch_size}"

    def tokens(self, views: Sequence[Pixels]) -> list[ViewTokens]:
        """Tokens of each view (uint8 RGB (224, 224, 3)), in order; never changed by the other views."""
        if not views:
            return []
        batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
        states = dict(zip(CLASS_BLOCKS, self._backbone.hidden_states(batch, blocks=CLASS_BLOCKS), strict=True))
        classes = torch.stack([states[block][:, 0] for block in CLASS_BLOCKS], dim=1).cpu().numpy()
        patches = torch.cat([states[block][:, 1:] for block in PATCH_BLOCKS], dim=2).cpu().numpy()
        return [ViewTokens(c, p) for c, p in zip(classes, patches, strict=True)]
