"""Decoded, bounded, timed samples: what the rest of the program sees of a file. Validated at birth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepscreen.findings.finding import Finding

Pixels = NDArray[np.uint8]  # (height, width, 3) RGB
MediaKind = Literal["image", "video", "audio"]


def _check_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels: want uint8 (height, width, 3), got {pixels.dtype} {pixels.shape}")


@dataclass(frozen=True, slots=True, repr=False)
class Still:
    """A decoded picture, upright (orientation applied), RGB, at its full size."""

    pixels: Pixels

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)

    @property
    def width_px(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        return int(self.pixels.shape[0])

    def __repr__(self) -> str:
        return f"Still({self.width_px}x{self.height_px})"


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """A video frame, upright, at its presentation time relative to the first frame of the stream."""

    pixels: Pixels
    pts_seconds: float
    index: int  # position among the sampled frames, from 0

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)

    def __repr__(self) -> str:
        return f"Frame({self.pixels.shape[1]}x{self.pixels.shape[0]} @ {self.pts_seconds:.3f} s)"


@dataclass(frozen=True, slots=True, repr=False)
class Waveform:
    """A stretch of mono sound, float32 in [-1, 1]."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            raise ValueError(f"samples: want float32 (n,), got {self.samples.dtype} {self.samples.shape}")

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    def __repr__(self) -> str:
        return f"Waveform({self.duration_seconds:.2f} s at {self.sample_rate_hz} Hz from {self.start_seconds:.2f} s)"


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream of a container. ``*_claimed`` is what headers say, ``*_measured`` what packets or pixels show."""

    kind: Literal["image", "video", "audio"]
    codec: str
    width_px: int | None = None
    height_px: int | None = None
    rotation_degrees: int = 0  # clockwise turn that was applied to show it upright
    frame_rate_claimed: float | None = None
    frame_count_measured: int | None = None
    variable_frame_rate: bool | None = None
    duration_seconds_claimed: float | None = None
    duration_seconds_measured: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file is, by its content: kind, container, streams, and facts worth a reader's attention."""

    kind: MediaKind
    container: str  # Pillow format name ("JPEG") or FFmpeg demuxer ("mov,mp4,m4a,3gp,3g2,mj2")
    mime: str
    streams: tuple[StreamFacts, ...]
    facts: tuple[Finding, ...] = ()  # of the decoding: what was done to the picture, what was not as claimed

    def stream(self, kind: str) -> StreamFacts | None:
        """The first stream of *kind*, or None."""
        return next((s for s in self.streams if s.kind == kind), None)

    def duration_seconds(self, kind: str) -> float:
        """Of the first stream of *kind*: measured where it was, else claimed, else 0."""
        stream = self.stream(kind)
        if stream is None:
            return 0.0
        return float(stream.duration_seconds_measured or stream.duration_seconds_claimed or 0.0)


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """The times, in seconds from the first frame, at which a clip is looked at."""

    times_seconds: tuple[float, ...] = field(default=())

    @classmethod
    def over(cls, duration_seconds: float, *, frames_per_second: float, max_frames: int) -> SamplingPlan:
        """Evenly spaced mid-interval times over [0, duration), never more than *max_frames*, at least one."""
        count = max(1, min(max_frames, round(duration_seconds * frames_per_second)))
        step = duration_seconds / count
        return cls(tuple(round((k + 0.5) * step, 6) for k in range(count)))
