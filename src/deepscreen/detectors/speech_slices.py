"""Slices of one second within windows of speech: where a phrase stands out from what is around it.

For ``deepscreen evaluate-spans``; what stands out is too often honest for a detector to report it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.audio_head import AudioHead, views_of
from deepscreen.detectors.contract import LOGIT_DECIMALS, TimelinePoint
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.moments import contrasts
from deepscreen.detectors.speech import FRAME_SAMPLES, SAMPLE_RATE_HZ, SpeechWindow
from deepscreen.detectors.speech_features import ReadWindow, WindowFeatures

SLICE_FRAMES, SLICE_HOP_FRAMES, SLICE_SECONDS = 100, 25, 1.0
MIN_SPEECH_FRAMES = 50
# Slices of the middle of a window, that hears what is before and after them; its edges are the next windows' middles.
FIRST, MIDDLE, LAST = (0, 25), (50, 75, 100, 125, 150, 175), (200,)
HOP_SECONDS = 1.5  # between windows


@dataclass(frozen=True, slots=True, repr=False)
class SliceFeatures:
    """Features of the second from ``start_seconds``, read within its window."""

    start_seconds: float
    features: WindowFeatures


@dataclass(frozen=True, slots=True, repr=False)
class SliceStack:
    """All slices of a track: ``start_seconds`` (n,), ``whisper`` (n, entries, 1024) and ``spectral`` (n, 431)."""

    start_seconds: FloatArray
    whisper: NDArray[np.float32]
    spectral: NDArray[np.float32]

    @classmethod
    def of(cls, slices: Sequence[SliceFeatures]) -> SliceStack:
        """Of at least one slice."""
        return cls(
            np.array([one.start_seconds for one in slices]),
            np.stack([one.features.whisper for one in slices]),
            np.stack([one.features.spectral.astype(np.float32) for one in slices]),
        )

    def moments(self, head: AudioHead) -> tuple[TimelinePoint, ...]:
        """By how much the log-odds of each slice are above those before and after it, in order of time."""
        read = views_of(self.whisper, self.spectral, head.layers)
        return contrasted(self.start_seconds, head.view_logits(read).sum(axis=1) + head.intercept)


def owned_starts(windows: Sequence[SpeechWindow]) -> list[tuple[int, ...]]:
    """For each window the first frames of the slices that are read in it; no slice is read twice."""
    starts = {round(window.start_seconds, 3) for window in windows}

    def has(seconds: float) -> bool:
        return round(seconds, 3) in starts

    return [
        (
            *(() if has(w.start_seconds - HOP_SECONDS) else FIRST),
            *MIDDLE,
            *(() if has(w.start_seconds + HOP_SECONDS) else LAST),
        )
        for w in windows
    ]


def slices_of(read: ReadWindow, starts: Sequence[int]) -> Iterator[SliceFeatures]:
    """Those at *starts* that hold half a second of speech."""
    for first in starts:
        speech = np.zeros_like(read.window.speech)
        speech[first : first + SLICE_FRAMES] = read.window.speech[first : first + SLICE_FRAMES]
        if int(speech.sum()) >= MIN_SPEECH_FRAMES:
            start = read.window.start_seconds + first * FRAME_SAMPLES / SAMPLE_RATE_HZ
            yield SliceFeatures(start, read.features(speech))


def contrasted(start_seconds: FloatArray, logits: FloatArray) -> tuple[TimelinePoint, ...]:
    """What lies more than a second away on either side is what a slice is set against, see ``contrasts``."""
    order = np.argsort(start_seconds, kind="stable")
    times = start_seconds[order]
    return tuple(
        TimelinePoint(float(start), float(start) + SLICE_SECONDS, round(float(value), LOGIT_DECIMALS))
        for start, value in zip(times, contrasts(times, logits[order]), strict=True)
    )
