"""``video_clip``: is the clip generated, or a face in it manipulated, and when?

Every sampled frame is read as a whole and by its faces, through the same frozen CLIP ViT-B/16 as pictures. Frames are
consumed one by one: only running sums, one number a frame, and the most telling frame are kept.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.clip_features import ClipFeatures, ViewTokens
from deepscreen.detectors.contract import (
    ClipSample,
    DetectorCard,
    FrameSample,
    Reading,
    SaliencyMap,
    Sample,
    Scored,
    TimelinePoint,
)
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.view_head import ViewHead, faithfulness
from deepscreen.detectors.views import MIN_FACE_PX, MIN_PICTURE_PX, View, face_view, whole_view
from deepscreen.media.samples import Frame

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop

HEAD_NAME = "head-video"
FACE_HEAD_NAME = "head-face"  # the same head as on pictures
CARD = DetectorCard(
    name="video_clip",
    modality="video",
    version="1",
    weights=("clip-vit-b16", "yunet", HEAD_NAME, FACE_HEAD_NAME),
    summary="Clips: generated frames and manipulated faces over time, through a frozen CLIP ViT-B/16.",
)
MAX_FACES_PER_FRAME = 2
MIN_TRACK_FRAMES = 2  # a track seen once says little, unless the clip has but one frame
WITH_FACE, NO_FACE = "with_face", "no_face"


@dataclass(frozen=True, slots=True, repr=False)
class VideoHead:
    """``frame`` reads whole frames, ``face`` face crops; ``pools`` join their clip means, with and without a face."""

    frame: ViewHead
    face: ViewHead
    pool_with_face: LinearHead
    pool_no_face: LinearHead

    def clip_logit(self, frame_mean: float, face_worst: float | None) -> tuple[float, str]:
        """Log-odds of the clip and the calibration stratum; ``face_worst``: highest track mean, None without faces."""
        if face_worst is None:
            return float(self.pool_no_face.logit(np.array([frame_mean]))), NO_FACE
        return float(self.pool_with_face.logit(np.array([frame_mean, face_worst]))), WITH_FACE


@dataclass(slots=True, repr=False)
class _Telling:
    """The view with the highest logit so far, and the frame that it lies on."""

    logit: float = -np.inf
    frame: Frame | None = None
    view: View | None = None
    patches: FloatArray | None = None

    def offer(self, logit: float, frame: Frame, view: View, patches: FloatArray) -> None:
        if logit > self.logit:
            self.logit, self.frame, self.view, self.patches = logit, frame, view, patches


@dataclass(slots=True, repr=False)
class _Running:
    """What is kept of a clip while its frames go by."""

    times: list[float] = field(default_factory=list)
    frame_logits: list[float] = field(default_factory=list)
    track_logits: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
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
        for frame in sample.frames:
            if min(frame.frame.pixels.shape[:2]) < MIN_PICTURE_PX:
                return NotScored(CARD.name, Absence.TOO_SMALL, f"frames are smaller than {MIN_PICTURE_PX} px a side")
            self._take(frame, running)
        if not running.frame_logits:
            return NotScored(CARD.name, Absence.NO_VIDEO_FRAMES, "no frame could be decoded")
        logit, stratum = self._head.clip_logit(float(np.mean(running.frame_logits)), worst_track(running.track_logits))
        reading = Reading(CARD.name, logit, n_samples=len(running.frame_logits), stratum=stratum)
        if not sample.wants_evidence:
            return Scored(reading)
        maps, frames = self._maps(running)
        return Scored(reading, maps=maps, timeline=_timeline(running, sample.duration_seconds), telling_frames=frames)

    def _take(self, sample: FrameSample, running: _Running) -> None:
        frame = sample.frame
        whole = whole_view(frame.pixels)
        chosen = [k for k, f in enumerate(sample.faces) if f.size_px >= MIN_FACE_PX][:MAX_FACES_PER_FRAME]
        views = [whole, *(face_view(frame.pixels, sample.faces[k]) for k in chosen)]
        tokens = self._features.tokens([view.pixels for view in views])
        running.times.append(frame.pts_seconds)
        running.frame_logits.append(_offer(self._head.frame, tokens[0], frame, whole, running.whole))
        for k, view, face_tokens in zip(chosen, views[1:], tokens[1:], strict=True):
            logit = _offer(self._head.face, face_tokens, frame, view, running.face)
            running.track_logits[sample.track_ids[k]].append((frame.pts_seconds, logit))

    def _maps(self, running: _Running) -> tuple[tuple[SaliencyMap, ...], tuple[Frame, ...]]:
        maps, frames = [], []
        for subject, head, telling in (
            ("whole", self._head.frame, running.whole),
            ("face", self._head.face, running.face),
        ):
            if telling.frame is None or telling.view is None or telling.patches is None:
                continue
            check = faithfulness(head, self._features, telling.view.pixels, telling.patches, telling.logit)
            values, place = telling.patches.astype("float32"), telling.view.to_source
            pts = telling.frame.pts_seconds
            maps.append(SaliencyMap(values, place, "whole" if subject == "whole" else "face", check, pts_seconds=pts))
            frames.append(telling.frame)
        return tuple(maps), tuple(frames)


def _offer(head: ViewHead, tokens: ViewTokens, frame: Frame, view: View, telling: _Telling) -> float:
    logit, patches = head.read(tokens)
    telling.offer(logit, frame, view, patches)
    return logit


def worst_track(track_logits: dict[int, list[tuple[float, float]]]) -> float | None:
    """The highest mean logit over face tracks, or None without faces; short tracks count only if all are short."""
    longest = max((len(points) for points in track_logits.values()), default=0)
    needed = min(MIN_TRACK_FRAMES, longest)
    means = [np.mean([logit for _, logit in points]) for points in track_logits.values() if len(points) >= needed]
    return float(max(means)) if means else None


def _timeline(running: _Running, duration_seconds: float) -> tuple[TimelinePoint, ...]:
    """Each frame speaks for the time around it: half-way to its neighbours."""
    times = np.array(running.times)
    edges = np.concatenate([[0.0], (times[1:] + times[:-1]) / 2, [max(duration_seconds, times[-1])]])
    span = {
        t: (round(float(a), 3), round(float(b), 3)) for t, a, b in zip(running.times, edges, edges[1:], strict=False)
    }
    points = [TimelinePoint(*span[t], round(v, 3)) for t, v in zip(running.times, running.frame_logits, strict=True)]
    for track_id, track in running.track_logits.items():
        points.extend(TimelinePoint(*span[t], round(logit, 3), track_id) for t, logit in track)
    return tuple(points)


def build(workshop: Workshop) -> VideoClip:
    """The detector with its shipped heads."""
    arrays = workshop.head_arrays(HEAD_NAME)
    head = VideoHead(
        frame=ViewHead.from_arrays(arrays, "frame"),
        face=ViewHead.from_arrays(workshop.head_arrays(FACE_HEAD_NAME), "view"),
        pool_with_face=LinearHead.from_arrays(arrays, "pool_with_face"),
        pool_no_face=LinearHead.from_arrays(arrays, "pool_no_face"),
    )
    return VideoClip(workshop.clip_features, head)
