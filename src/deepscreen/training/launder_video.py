"""Laundering of clips: smaller, coarser, slower, as a clip becomes on its way to an examiner; alike for both classes.

x264 on one thread, so that the same clip and the same settings give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from deepscreen.media.samples import Pixels

DEFAULT_FRAME_RATE = 25
MAX_FRAMES = 1_000  # of one clip; labelled clips last seconds


@dataclass(frozen=True, slots=True)
class Laundering:
    """``scale``: of both sides; ``crf``: of x264, higher is coarser; ``keep_every``: 2 halves the frame rate."""

    scale: float
    crf: int
    keep_every: int = 1


HALF_SIZE_CRF_35 = Laundering(scale=0.5, crf=35)
CLIP_STRESSES = {"half size, H.264 crf 35": HALF_SIZE_CRF_35}


def laundered_clip(source: Path, laundering: Laundering) -> bytes:
    """The clip as MP4, H.264, without sound. Training data is trusted: no sandbox."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        rate = Fraction(stream.average_rate or DEFAULT_FRAME_RATE) / laundering.keep_every
        decoded = islice(container.decode(stream), MAX_FRAMES)
        frames = (np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8) for frame in decoded)
        kept = islice(frames, 0, None, laundering.keep_every)
        return encoded(_scaled(kept, laundering.scale), rate, crf=laundering.crf)


def encoded(frames: Iterable[Pixels], rate: Fraction, *, crf: int) -> bytes:
    """Frames of one size (RGB) as MP4, H.264. Raises ValueError where there are none."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = None
        for pixels in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate.limit_denominator(10_000))
                stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if stream is None:
            raise ValueError("frames: want at least one, got none")
        container.mux(stream.encode(None))
    return target.getvalue()


def _scaled(frames: Iterable[Pixels], scale: float) -> Iterator[Pixels]:
    """Sides are even: yuv420p has half the colour."""
    for pixels in frames:
        height, width = (max(32, 2 * round(side * scale / 2)) for side in pixels.shape[:2])
        yield np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
