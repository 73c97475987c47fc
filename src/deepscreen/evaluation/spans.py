"""Reads span cases as ``video_clip`` would, by heads and calibrations that saw nothing of their fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import ClipSample, FrameSample, Scored, TimelinePoint
from deepscreen.detectors.video_clip import VideoClip
from deepscreen.detectors.video_head import VideoHead
from deepscreen.evaluation.span_cases import SpanCase
from deepscreen.evaluation.span_figures import ReadCase
from deepscreen.faces import FaceLocator, FaceTracker
from deepscreen.findings.interruption import INTERRUPTED_SHOT
from deepscreen.media.intake import Intake, take_in
from deepscreen.media.samples import SamplingPlan
from deepscreen.media.sandbox import Decoder
from deepscreen.scoring.calibration import LN10, Stratum
from deepscreen.settings import Limits
from deepscreen.training.clip_moments import fit_moments, moment_peaks
from deepscreen.training.fit_video import HeldOutVideo, VideoData, fold_head
from deepscreen.training.video_features import VideoFeatureCache


@dataclass(frozen=True, slots=True, repr=False)
class FoldMethod:
    """What is fitted without a fold: the head, and what it means to it that a moment stands out."""

    head: VideoHead
    moments: Stratum


def fold_methods(data: VideoData, held: HeldOutVideo, videos: VideoFeatureCache) -> dict[int, FoldMethod]:
    """By fold."""
    heads = {fold: fold_head(held, fold) for fold in held.heads}
    views = [videos.features(clip) for clip in data.clips.files]
    peaks = moment_peaks(data.clips.files, data.clips.folds, views, heads)
    return {fold: FoldMethod(head, fit_moments(peaks, peaks.folds != fold)) for fold, head in heads.items()}


class SpanReader:
    """Decodes, finds faces and reads over time, as a screening does."""

    def __init__(self, folder: Path, features: ClipFeatures, locator: FaceLocator, decoder: Decoder) -> None:
        self._folder, self._features, self._locator, self._decoder = folder, features, locator, decoder
        self._limits = Limits()

    def read(self, case: SpanCase, method: FoldMethod) -> ReadCase:
        """The case with the log10 LR of each moment."""
        outcome = VideoClip(self._features, method.head).score_over_time(self._sample(case))
        if not isinstance(outcome, Scored):
            raise ValueError(f"{case.host}: {case.maker}: {outcome.detail}; made clips can be scored")
        slope, offset = method.moments.slope / LN10, method.moments.offset / LN10
        moments = tuple(replace(point, spoof_logit=slope * point.spoof_logit + offset) for point in outcome.moments)
        return ReadCase(case, moments, interruptions_in(self._folder / case.file, self._decoder))

    def _sample(self, case: SpanCase) -> ClipSample:
        intake = take_in(self._folder / case.file, limits=self._limits)
        duration = self._decoder.examine(intake).facts.duration_seconds("video")
        rate, most = self._limits.frames_per_second, self._limits.max_frames
        plan = SamplingPlan.over(duration, frames_per_second=rate, max_frames=most)
        frames_at = partial(self._frames, intake)
        return ClipSample(frames_at(plan.times_seconds), duration, closer=frames_at)

    def _frames(self, intake: Intake, times: Sequence[float]) -> Iterator[FrameSample]:
        tracker = FaceTracker()
        for frame in self._decoder.frames(intake, SamplingPlan(tuple(times))):
            faces = self._locator.locate(frame.pixels, max_faces=self._limits.max_faces)
            yield FrameSample(frame, faces, tracker.assign(faces, frame.pts_seconds))


def read_cases(cases: Sequence[SpanCase], reader: SpanReader, methods: Mapping[int, FoldMethod]) -> Iterator[ReadCase]:
    """Each case by the method of its fold."""
    for case in cases:
        yield reader.read(case, methods[case.fold])


def interruptions_in(clip: Path, decoder: Decoder) -> tuple[TimelinePoint, ...]:
    """Stretches of which the findings on a clip say that they interrupt their shot."""
    found = decoder.inspect(take_in(clip, limits=Limits()))
    facts = [one.facts for one in found if one.code == INTERRUPTED_SHOT]
    return tuple(TimelinePoint(float(f["start_seconds"]), float(f["end_seconds"]), 0.0) for f in facts)
