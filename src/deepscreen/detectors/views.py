"""From a picture to the 224 x 224 views that the CLIP backbone reads, and the way back to source pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from deepscreen.faces import Face, crop_face
from deepscreen.media.halving import halved, halvings
from deepscreen.media.samples import Pixels

VIEW_PX = 224
MIN_FACE_PX = 48.0  # of the face box; below it blending traces are gone
MIN_PICTURE_PX = 48  # of the short side
HALVED_AT_LEAST_PX = 2 * VIEW_PX  # of the short side: the filter that follows still decides what the view shows


@dataclass(frozen=True, slots=True, repr=False)
class View:
    """A square view, uint8 RGB (224, 224, 3). ``to_source`` (2, 3) maps (u, v, 1), u and v in [0, 1], to source px."""

    pixels: Pixels
    to_source: NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class PictureViews:
    """What is read of a picture: the whole, and each face that is large enough, largest first."""

    whole: View
    faces: tuple[View, ...]

    @classmethod
    def of(cls, pixels: Pixels, faces: Sequence[Face]) -> PictureViews:
        """Views of a picture with *faces*; of those below ``MIN_FACE_PX`` there is none."""
        large = [face for face in faces if face.size_px >= MIN_FACE_PX]
        return cls(whole_view(pixels), tuple(face_view(pixels, face) for face in large))


def whole_view(pixels: Pixels) -> View:
    """The whole picture brought to a square: nothing is cut off, so every source pixel has its place on the map."""
    times = halvings(min(pixels.shape[:2]), HALVED_AT_LEAST_PX)
    pixels = halved(pixels, times)
    height, width = (side << times for side in pixels.shape[:2])
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    small = transforms.resize(tensor, [VIEW_PX, VIEW_PX], interpolation=InterpolationMode.BICUBIC, antialias=True)
    to_source = np.array([[width, 0, 0], [0, height, 0]], dtype=np.float64)
    return View(np.ascontiguousarray(small.permute(1, 2, 0).numpy()), to_source)


def face_view(pixels: Pixels, face: Face) -> View:
    """The aligned face crop."""
    crop = crop_face(pixels, face, size_px=VIEW_PX)
    return View(crop.pixels, crop.to_source)
