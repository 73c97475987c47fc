"""``FakeDetector``: the one fake, at the one seam. Real samples in, numbers that follow from their content out."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import (
    ClipSample,
    DetectorCard,
    Faithfulness,
    ImageSample,
    Modality,
    Reading,
    SaliencyMap,
    Sample,
    Scored,
    SoundSample,
    TimelinePoint,
)

GRID = 14
CHECKS = np.array([[4, -4], [-4, 4]], dtype=np.float32)  # of the part of a picture from its first to its second quarter


class FakeDetector:
    """Scores by hash: deterministic, quick, without weights. For tests of everything around the detectors."""

    def __init__(self, modality: Modality) -> None:
        self._card = DetectorCard(f"fake_{modality}", modality, "1", (), "A stand-in for tests; it detects nothing.")

    @property
    def card(self) -> DetectorCard:
        return self._card

    def score(self, sample: Sample) -> Scored | NotScored:
        """A logit in [-4, 4) from the sample's bytes."""
        if isinstance(sample, ImageSample):
            pixels = sample.still.pixels
            shape = np.array([[pixels.shape[1], 0, 0], [0, pixels.shape[0], 0]], dtype=np.float64)
            logit = _logit(pixels.tobytes())
            part = np.array([[0.25, 0, 0.25], [0, 0.25, 0.25]]) * [[pixels.shape[1]], [pixels.shape[0]]]
            maps = (_map(shape, "whole"), SaliencyMap(CHECKS, part, "face", Faithfulness(0.4, 0.1)))
            return Scored(Reading(self._card.name, logit, 1), maps=maps)
        if isinstance(sample, ClipSample):
            return self._clip(sample)
        return self._sound(sample)

    def _clip(self, sample: ClipSample) -> Scored | NotScored:
        frames = [s.frame for s in sample.frames]
        if not frames:
            return NotScored(self._card.name, Absence.NO_VIDEO_FRAMES, "no frame could be decoded")
        seen = [(frame.pts_seconds, _logit(frame.pixels.tobytes())) for frame in frames]
        telling = frames[len(frames) // 2]
        shape = np.array([[telling.pixels.shape[1], 0, 0], [0, telling.pixels.shape[0], 0]], dtype=np.float64)
        return Scored(
            Reading(self._card.name, float(np.mean([v for _, v in seen])), len(seen)),
            timeline=tuple(TimelinePoint(t, t + 0.5, round(v, 3)) for t, v in seen),
            maps=(_map(shape, "whole", telling.pts_seconds),),
            telling_frames=(telling,),
        )

    def _sound(self, sample: SoundSample) -> Scored | NotScored:
        points = [
            TimelinePoint(b.start_seconds, b.start_seconds + b.duration_seconds, round(_logit(b.samples.tobytes()), 3))
            for b in sample.blocks
        ]
        if not points:
            return NotScored(self._card.name, Absence.TOO_SHORT, "no sound")
        mean = float(np.mean([p.spoof_logit for p in points]))
        return Scored(Reading(self._card.name, mean, len(points)), timeline=tuple(points))


def _map(to_source: NDArray[np.float64], subject: Literal["whole", "face"], pts: float | None = None) -> SaliencyMap:
    ramp = np.linspace(-4, 4, GRID * GRID, dtype=np.float32).reshape(GRID, GRID)
    return SaliencyMap(ramp, to_source, subject, Faithfulness(0.5, 0.1), pts)


def _logit(content: bytes) -> float:
    digest = hashlib.sha256(content).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 * 8 - 4
