"""``video_clip``: is the clip generated, or a face in it manipulated, and when?

Every sampled frame is read as a whole and by its faces, through the same frozen CLIP ViT-B/16 as pictures. Frames are
consumed one by one: only running sums, two numbers a frame, and the most telling frame are kept. Where moments stand
out, the clip is looked at a second time, closer; the clip's log-odds are those of the first look alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.clip_features import ClipFeatures, ViewTokens
from deepscreen.detectors.contract import (
    LOGIT_DECIMALS,
    ClipSample,
    DetectorCard,
    FrameSample,
    Reading,
    SaliencyMap,
    Sample,
    Scored,
    TimelinePoint,
)
from deepscreen.detectors.moments import closer_times, stand_out
from deepscreen.detectors.video_head import VideoHead
from deepscreen.detectors.view_head import ViewHead, faithfulness
from deepscreen.detectors.views import MIN_FACE_PX, MIN_PICTURE_PX, View, face_view, whole_view
from deepscreen.media.samples import Frame

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

HEAD_NAME = "head-video"
CARD = DetectorCard(
    name="video_clip",
    modality="video",
    version="4",
    weights=("clip-vit-b16", "yunet", HEAD_NAME),
    summary="Clips: generated frames and manipulated faces over time, through a frozen CLIP ViT-B/16.",
)
MAX_FACES_PER_FRAME = 2
MIN_TRACK_FRAMES = 2  # a track seen once says little, unless the clip has but one frame


@dataclass(slots=True, repr=False)
class _Telling:
    """The view with the highest logit so far, and the frame that it lies on."""

    logit: float = -np.inf
    frame: Frame | None = None
    view: View | None = None
    tokens: ViewTokens | None = None

    def offer(self, logit: float, frame: Frame, view: View, tokens: ViewTokens) -> None:
        if logit > self.logit:
            self.logit, self.frame, self.view, self.tokens = logit, frame, view, tokens


@dataclass(slots=True, repr=False)
class _Look:
    """What one pass over a clip left: of each frame the log-odds of the whole and of its worst face."""

    times: list[float] = field(default_factory=list)
    frame_logits: list[float] = field(default_factory=list)
    face_logits: list[float] = field(default_factory=list)  # NaN without a face
    track_logits: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True, repr=False)
class _Running:
    """What is kept of a clip while its frames go by."""

    look: _Look = field(default_factory=_Look)
    whole: _Telling = field(default_factory=_Telling)
    face: _Telling = field(default_factory=_Telling)


class VideoClip:
    """The clip detector."""

    def __init__(self, features: ClipFeatures, head: VideoHead) -> None:
        self._features, self._head = features, head

    @property
    def card(self) -> DetectorCard:
        return CARD

    def score(self, sample: Sample) -> Scored | NotScored:
        """One logit for the clip, one a frame and track on the timeline, maps on the most telling frame and face."""
        if not isinstance(sample, ClipSample):
            return NotScored(CARD.name, Absence.NOT_APPLICABLE, "reads video only")
        running = _Running()
        outcome = self._watch(sample, running)
        if isinstance(outcome, NotScored) or not sample.wants_evidence:
            return outcome
        maps, frames = self._maps(running)
        return replace(outcome, maps=maps, telling_frames=frames)

    def score_over_time(self, sample: ClipSample) -> Scored | NotScored:
        """The same without maps: reading, timeline and moments."""
        return self._watch(sample, _Running())

    def _watch(self, sample: ClipSample, running: _Running) -> Scored | NotScored:
        for frame in sample.frames:
            if min(frame.frame.pixels.shape[:2]) < MIN_PICTURE_PX:
                return NotScored(CARD.name, Absence.TOO_SMALL, f"frames are smaller than {MIN_PICTURE_PX} px a side")
            self._take(frame, running)
        look = running.look
        if not look.frame_logits:
            return NotScored(CARD.name, Absence.NO_VIDEO_FRAMES, "no frame could be decoded")
        logit, stratum = self._head.clip_logit(float(np.mean(look.frame_logits)), worst_track(look.track_logits))
        reading = Reading(CARD.name, logit, n_samples=len(look.frame_logits), stratum=stratum)
        if not sample.wants_evidence:
            return Scored(reading)
        timeline = _timeline(look, sample.duration_seconds)
        return Scored(reading, timeline=timeline, moments=self._moments(sample, running))

    def _take(self, sample: FrameSample, running: _Running) -> None:
        frame, look = sample.frame, running.look
        whole = whole_view(frame.pixels)
        chosen = [k for k, f in enumerate(sample.faces) if f.size_px >= MIN_FACE_PX][:MAX_FACES_PER_FRAME]
        views = [whole, *(face_view(frame.pixels, sample.faces[k]) for k in chosen)]
        tokens = self._features.tokens([view.pixels for view in views])
        logit = self._head.frame_logit(tokens[0])
        running.whole.offer(logit, frame, whole, tokens[0])
        worst = np.nan
        for k, view, face_tokens in zip(chosen, views[1:], tokens[1:], strict=True):
            face_logit = self._head.face_logit(face_tokens)
            running.face.offer(face_logit, frame, view, face_tokens)
            look.track_logits[sample.track_ids[k]].append((frame.pts_seconds, face_logit))
            worst = float(np.fmax(worst, face_logit))
        look.times.append(frame.pts_seconds)
        look.frame_logits.append(logit)
        look.face_logits.append(worst)

    def _moments(self, sample: ClipSample, running: _Running) -> tuple[TimelinePoint, ...]:
        """How much each moment stands out, after a closer look where one does."""
        first = running.look
        outstanding = stand_out(first.times, self._head.moment_logits(first.frame_logits, first.face_logits))
        wanted = closer_times(first.times, outstanding, sample.duration_seconds)
        running.look = second = _Look()
        for frame in sample.closer(wanted) if sample.closer and wanted else ():
            if frame.frame.pts_seconds not in first.times and min(frame.frame.pixels.shape[:2]) >= MIN_PICTURE_PX:
                self._take(frame, running)
        running.look = first
        order = np.argsort([*first.times, *second.times], kind="stable")
        times = np.array([*first.times, *second.times])[order]
        frames = np.array([*first.frame_logits, *second.frame_logits])[order]
        faces = np.array([*first.face_logits, *second.face_logits])[order]
        values = stand_out(times.tolist(), self._head.moment_logits(frames.tolist(), faces.tolist()))
        stretches = _stretches(times.tolist(), sample.duration_seconds)
        return tuple(
            TimelinePoint(*stretches[t], round(float(v), LOGIT_DECIMALS)) for t, v in zip(times, values, strict=True)
        )

    def _maps(self, running: _Running) -> tuple[tuple[SaliencyMap, ...], tuple[Frame, ...]]:
        found = [
            self._map("whole", self._head.frame, running.whole),
            self._map("face", self._head.face, running.face),
        ]
        pairs = [pair for pair in found if pair is not None]
        return tuple(saliency for saliency, _ in pairs), tuple(frame for _, frame in pairs)

    def _map(
        self, subject: Literal["whole", "face"], head: ViewHead, telling: _Telling
    ) -> tuple[SaliencyMap, Frame] | None:
        if telling.frame is None or telling.view is None or telling.tokens is None:
            return None
        logit, patches = head.read(telling.tokens)
        check = faithfulness(head, self._features, telling.view.pixels, patches, logit)
        pts = telling.frame.pts_seconds
        values = patches.astype("float32")
        return SaliencyMap(values, telling.view.to_source, subject, check, pts_seconds=pts), telling.frame


def worst_track(track_logits: dict[int, list[tuple[float, float]]]) -> float | None:
    """The highest mean logit over face tracks, or None without faces; short tracks count only if all are short."""
    longest = max((len(points) for points in track_logits.values()), default=0)
    needed = min(MIN_TRACK_FRAMES, longest)
    means = [np.mean([logit for _, logit in points]) for points in track_logits.values() if len(points) >= needed]
    return float(max(means)) if means else None


def _stretches(times: list[float], duration_seconds: float) -> dict[float, tuple[float, float]]:
    """Each frame speaks for the time around it: half-way to its neighbours."""
    middles = (np.array(times[1:]) + np.array(times[:-1])) / 2
    edges = [0.0, *middles.tolist(), max(duration_seconds, times[-1])]
    return {t: (round(a, 3), round(b, 3)) for t, a, b in zip(times, edges, edges[1:], strict=False)}


def _timeline(look: _Look, duration_seconds: float) -> tuple[TimelinePoint, ...]:
    span = _stretches(look.times, duration_seconds)
    points = [
        TimelinePoint(*span[t], round(v, LOGIT_DECIMALS)) for t, v in zip(look.times, look.frame_logits, strict=True)
    ]
    for track_id, track in look.track_logits.items():
        points.extend(TimelinePoint(*span[t], round(logit, LOGIT_DECIMALS), track_id) for t, logit in track)
    return tuple(points)


def build(workshop: Workshop) -> VideoClip:
    """The detector with its shipped heads."""
    return VideoClip(workshop.clip_features, VideoHead.from_arrays(workshop.head_arrays(HEAD_NAME)))
