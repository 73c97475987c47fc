"""How a decoded frame must be turned to stand upright: by the display matrix of its stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame

from deepscreen.media.samples import Pixels

MATRIX_BYTES = 9 * 4


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn by a multiple of 90 degrees, perhaps mirrored: swap the axes first, then flip them."""

    swaps_axes: bool = False
    flips_x: bool = False
    flips_y: bool = False

    @property
    def clockwise_degrees(self) -> int:
        """The clockwise turn; of a mirrored one, the turn after mirroring left to right."""
        if self.swaps_axes:
            return 90 if self.flips_x else 270
        return 180 if self.flips_y else 0

    @property
    def is_mirrored(self) -> bool:
        return (self.flips_x == self.flips_y) == self.swaps_axes

    def __str__(self) -> str:
        return f"{self.clockwise_degrees} degrees clockwise" + (", mirrored" if self.is_mirrored else "")

    def apply(self, pixels: Pixels) -> Pixels:
        """A view of *pixels* (height, width, 3), upright."""
        if self.swaps_axes:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if self.flips_y else 1, :: -1 if self.flips_x else 1]


def turn_of(frame: VideoFrame) -> Turn:
    """The turn that the frame's display matrix asks for, to the nearest multiple of 90 degrees; none without a matrix.

    The matrix maps x' = a x + c y, y' = b x + d y, with y downwards (ISO/IEC 14496-12, 6.2.2).
    """
    matrix = cast("SideDataContainer", frame.side_data).get(Type.DISPLAYMATRIX)
    if matrix is None or matrix.buffer_size < MATRIX_BYTES:
        return Turn()
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(matrix), dtype="<i4")[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(flips_x=a < 0, flips_y=d < 0)
    return Turn(swaps_axes=True, flips_x=c < 0, flips_y=b < 0)
