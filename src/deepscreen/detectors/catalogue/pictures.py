"""A catalogue's classifier of pictures: one view, one logit. It has no map, since it was never shown to have one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.catalogue.checkpoint import SpoofClassifier
from deepscreen.detectors.catalogue.rows import PicturePreprocessing, PictureRow
from deepscreen.detectors.contract import DetectorCard, ImageSample, Reading, Sample, Scored
from deepscreen.detectors.views import MIN_PICTURE_PX
from deepscreen.media.samples import Pixels

INTERPOLATIONS = {
    "nearest": InterpolationMode.NEAREST_EXACT,
    "lanczos": InterpolationMode.LANCZOS,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}
# Beyond it, the picture with its short side enlarged would not fit into memory, and its middle would show next to none.
MAX_ASPECT = 8


def picture_tensor(pixels: Pixels, p: PicturePreprocessing) -> Tensor:
    """(3, size_px, size_px) float32: the picture as its row declares, resized as transformers' own processors do."""
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    size = [p.size_px, p.size_px] if p.crop == "whole" else [p.resized_short_side_px]
    image = transforms.resize(image, size, interpolation=INTERPOLATIONS[p.resampler], antialias=True)
    # Half pixels are rounded down, which torchvision's own centre crop does not do.
    top, left = ((side - p.size_px) // 2 for side in image.shape[-2:])
    image = image[:, top : top + p.size_px, left : left + p.size_px]
    mean, std = (torch.tensor(values, dtype=torch.float32)[:, None, None] * 255 for values in (p.mean, p.std))
    scaled: Tensor = (image.float() - mean) / std
    return scaled


def unfit(card: DetectorCard, pixels: Pixels, p: PicturePreprocessing) -> NotScored | None:
    """Why a picture or frame of this shape is not read, or None."""
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_PICTURE_PX:
        detail = f"{width} x {height} px; at least {MIN_PICTURE_PX} px a side are needed"
        return NotScored(card.name, Absence.TOO_SMALL, detail)
    if p.crop == "centre" and max(height, width) > MAX_ASPECT * min(height, width):
        detail = f"{width} x {height} px: its middle, which this plug-in reads, is less than 1/{MAX_ASPECT} of it"
        return NotScored(card.name, Absence.NOT_APPLICABLE, detail)
    return None


class PicturePlugin:
    """A classifier of whole pictures."""

    def __init__(self, row: PictureRow, classifier: SpoofClassifier) -> None:
        self._card, self._preprocessing, self._classifier = row.card, row.preprocessing, classifier

    @property
    def card(self) -> DetectorCard:
        return self._card

    def score(self, sample: Sample) -> Scored | NotScored:
        """One logit for the picture."""
        if not isinstance(sample, ImageSample):
            return NotScored(self._card.name, Absence.NOT_APPLICABLE, "reads pictures only")
        pixels = sample.still.pixels
        absent = unfit(self._card, pixels, self._preprocessing)
        if absent is not None:
            return absent
        logit = self._classifier.spoof_logit(picture_tensor(pixels, self._preprocessing))
        return Scored(Reading(self._card.name, logit, n_samples=1))
