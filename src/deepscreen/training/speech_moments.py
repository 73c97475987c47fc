"""What it means that a second of speech stands out: calibrated on half minutes that are really made and read.

Half minutes of held-out bona fide recordings of one source give their highest contrast, which is what chance reaches
however often one looks; those with a second of a spoof the contrast of that second. See ``evaluation.speech_hosts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deepscreen.detectors.contract import TimelinePoint
from deepscreen.evaluation.span_cases import SpanCase
from deepscreen.evaluation.speech_hosts import speech_cases, speech_hosts
from deepscreen.training.audio_features import AudioFeatureCache
from deepscreen.training.audio_hold_out import HeldOutFits
from deepscreen.training.clip_moments import Peaks

NEAR_SECONDS = 0.5  # a slice that begins further from the exchanged second holds less than half of it


@dataclass(frozen=True, slots=True)
class SpokenCase:
    """A half minute, and by how much each of its seconds stands out to the head that was fitted without its fold."""

    case: SpanCase
    moments: tuple[TimelinePoint, ...]


def spoken_cases(held: HeldOutFits, cache: AudioFeatureCache) -> Iterator[SpokenCase]:
    """Those of all hosts; a half minute without speech is left out."""
    files, folds = held.recordings()
    for host in speech_hosts(files, folds):
        spoofs = [file for file, fold in zip(files, folds, strict=True) if file.label and fold == host.fold]
        made = list(speech_cases(host, spoofs))
        for (case, _), slices in zip(made, cache.slices(sound for _, sound in made), strict=True):
            if slices is not None:
                yield SpokenCase(case, slices.moments(held.fits[host.fold].head))


def speech_peaks(cases: Sequence[SpokenCase]) -> Peaks:
    """The highest contrast of each control, and that of each exchanged second."""
    rows = [(_peak(one), int(not one.case.is_untouched), one.case.fold, one.case.source) for one in cases]
    return Peaks(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        [row[3] for row in rows],
    )


def _peak(one: SpokenCase) -> float:
    """0, which says nothing, where no slice of the exchanged second holds speech."""
    near = [
        point.spoof_logit
        for point in one.moments
        if one.case.is_untouched or abs(point.start_seconds - one.case.start_seconds) <= NEAR_SECONDS
    ]
    return max(near, default=0.0)
