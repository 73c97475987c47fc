"""A catalogue's classifier of clips: windows of sampled frames in a row, each with a logit of its own.

The frames are those that the program samples (two a second, as set), not those of the checkpoint's own data loader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.catalogue.checkpoint import SpoofClassifier
from deepscreen.detectors.catalogue.pictures import picture_tensor, unfit
from deepscreen.detectors.catalogue.rows import ClipRow
from deepscreen.detectors.contract import (
    LOGIT_DECIMALS,
    ClipSample,
    DetectorCard,
    FrameSample,
    Reading,
    Sample,
    Scored,
    TimelinePoint,
)

TIME_DECIMALS = 3


class _UnfitFrame(Exception):
    def __init__(self, absent: NotScored) -> None:
        super().__init__(absent.detail)
        self.absent = absent


@dataclass(frozen=True, slots=True, repr=False)
class FrameWindow:
    """Frames ``first`` to ``last`` of the sampled ones, and their pictures (frames, 3, size, size)."""

    first: int
    last: int
    pictures: Tensor


class ClipPlugin:
    """A classifier of clips."""

    def __init__(self, row: ClipRow, classifier: SpoofClassifier) -> None:
        self._card, self._preprocessing, self._classifier = row.card, row.preprocessing, classifier

    @property
    def card(self) -> DetectorCard:
        return self._card

    def score(self, sample: Sample) -> Scored | NotScored:
        """The mean over the windows, and a timeline of them."""
        if not isinstance(sample, ClipSample):
            return NotScored(self._card.name, Absence.NOT_APPLICABLE, "reads video only")
        times: list[float] = []
        windows: list[tuple[int, int, float]] = []
        try:
            for window in frame_windows(self._pictures(sample.frames, times), self._preprocessing.frames):
                windows.append((window.first, window.last, self._classifier.spoof_logit(window.pictures)))
        except _UnfitFrame as error:
            return error.absent
        if not windows:
            return NotScored(self._card.name, Absence.NO_VIDEO_FRAMES, "no frame could be decoded")
        reading = Reading(self._card.name, float(np.mean([logit for *_, logit in windows])), n_samples=len(windows))
        return Scored(reading, timeline=_timeline(windows, times, sample.duration_seconds))

    def _pictures(self, frames: Iterator[FrameSample], times: list[float]) -> Iterator[Tensor]:
        for sample in frames:
            absent = unfit(self._card, sample.frame.pixels, self._preprocessing)
            if absent is not None:
                raise _UnfitFrame(absent)
            times.append(sample.frame.pts_seconds)
            yield picture_tensor(sample.frame.pixels, self._preprocessing)


def frame_windows(pictures: Iterator[Tensor], n_frames: int) -> Iterator[FrameWindow]:
    """Windows of *n_frames*, one after the other; the last one ends with the clip, so it may reach back.

    A clip with fewer frames is one window, in which frames are repeated evenly.
    """
    recent: deque[Tensor] = deque(maxlen=n_frames)
    count = done = 0
    for picture in pictures:
        recent.append(picture)
        count += 1
        if count - done == n_frames:
            yield FrameWindow(done, count - 1, torch.stack(list(recent)))
            done = count
    if count > done:
        chosen = (
            np.linspace(0, len(recent) - 1, n_frames).round().astype(int)
        )  # all of them, once, where there are enough
        yield FrameWindow(count - len(recent), count - 1, torch.stack([recent[k] for k in chosen]))


def _timeline(
    windows: list[tuple[int, int, float]], times: list[float], duration_seconds: float
) -> tuple[TimelinePoint, ...]:
    """Each frame speaks for the time around it, half-way to its neighbours; a window for the time of its frames."""
    at = np.array(times)
    edges = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [max(duration_seconds, at[-1])]]).round(TIME_DECIMALS)
    return tuple(
        TimelinePoint(float(edges[first]), float(edges[last + 1]), round(logit, LOGIT_DECIMALS))
        for first, last, logit in windows
    )
