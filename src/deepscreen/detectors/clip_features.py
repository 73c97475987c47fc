"""The features that all picture and frame heads read: class tokens and patch tokens of several CLIP blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from deepscreen.detectors.contract import ImageSample
from deepscreen.detectors.nets.clip import BLOCKS, ClipBackbone
from deepscreen.detectors.views import PictureViews
from deepscreen.media.samples import Pixels

# Low-level traces live in the middle blocks, content in the last ones: heads on blocks 6 to 11 beat the last block
# alone on unseen sources; blocks 4, 5 and 12 added nothing to them. Patches are read at three depths.
CLASS_BLOCKS = tuple(range(6, 12))
PATCH_BLOCKS = (5, 8, 11)
LAST_BLOCK = BLOCKS
GRID = 14


@dataclass(frozen=True, slots=True, repr=False)
class ViewTokens:
    """Tokens of one view, float32: ``classes`` (6, 768) of blocks 6..11, ``patches`` (196, 2304) of blocks 5, 8, 11.

    ``last_class``: (768,) of block 12, for the bare baseline of a fit; else None.
    """

    classes: NDArray[np.float32]
    patches: NDArray[np.float32]
    last_class: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PictureTokens:
    """Tokens of a picture's views, in their order."""

    views: PictureViews
    whole: ViewTokens
    faces: tuple[ViewTokens, ...]


class ClipFeatures:
    """Turns views into tokens, in fixed-size batches; one instance is shared by all detectors of a desk."""

    def __init__(self, backbone: ClipBackbone, *, with_last_block: bool = False) -> None:
        self._backbone = backbone
        self._with_last_block = with_last_block
        self._pictures: WeakKeyDictionary[ImageSample, PictureTokens] = WeakKeyDictionary()
        self._blocks = sorted({*CLASS_BLOCKS, *PATCH_BLOCKS, *((LAST_BLOCK,) if with_last_block else ())})

    @property
    def identity(self) -> str:
        """What the numbers depend on besides the views: blocks, device class, precision, batch size."""
        b = self._backbone
        last = (LAST_BLOCK,) if self._with_last_block else ()
        blocks = ",".join(map(str, (*CLASS_BLOCKS, *last, *PATCH_BLOCKS)))
        return f"clip-vit-b16|{blocks}|{b.device.type}|{b.precision}|{b.batch_size}"

    def with_last_block(self) -> ClipFeatures:
        """The same, with the last block's class token beside the others; its pass costs a twelfth more."""
        return ClipFeatures(self._backbone, with_last_block=True)

    def tokens(self, views: Sequence[Pixels]) -> list[ViewTokens]:
        """Tokens of each view (uint8 RGB (224, 224, 3)), in order; never changed by the other views."""
        return self._tokens(views, at_least=1) if views else []

    def picture(self, sample: ImageSample) -> PictureTokens:
        """Tokens of all views of a picture, read once however many detectors ask.

        Views go in pairs, an odd one alone: a view's company is always that of its own picture, and so always the same.
        """
        known = self._pictures.get(sample)
        if known is None:
            views = PictureViews.of(sample.still.pixels, sample.faces)
            whole, *faces = self._tokens_in_pairs([view.pixels for view in (views.whole, *views.faces)])
            known = self._pictures[sample] = PictureTokens(views, whole, tuple(faces))
        return known

    def tokens_of_pair(self, first: Pixels, second: Pixels) -> tuple[ViewTokens, ViewTokens]:
        """Tokens of two views that are always read together, in one pass: quicker than one after the other."""
        one, other = self._tokens([first, second], at_least=2)
        return one, other

    def _tokens_in_pairs(self, views: Sequence[Pixels]) -> list[ViewTokens]:
        paired = len(views) // 2 * 2
        return [*(self._tokens(views[:paired], at_least=2) if paired else []), *self.tokens(views[paired:])]

    def _tokens(self, views: Sequence[Pixels], *, at_least: int) -> list[ViewTokens]:
        batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
        outputs = self._backbone.hidden_states(batch, blocks=self._blocks, at_least=at_least)
        states = dict(zip(self._blocks, outputs, strict=True))
        classes = torch.stack([states[block][:, 0] for block in CLASS_BLOCKS], dim=1).cpu().numpy()
        patches = torch.cat([states[block][:, 1:] for block in PATCH_BLOCKS], dim=2).cpu().numpy()
        if not self._with_last_block:
            return [ViewTokens(c, p) for c, p in zip(classes, patches, strict=True)]
        last = states[LAST_BLOCK][:, 0].cpu().numpy()
        return [ViewTokens(c, p, one) for c, p, one in zip(classes, patches, last, strict=True)]
