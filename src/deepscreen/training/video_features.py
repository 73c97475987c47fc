"""Backbone features of labelled clips: a few frames as wholes and their largest face, kept in a cache folder."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.views import MIN_FACE_PX, MIN_PICTURE_PX, face_view, whole_view
from deepscreen.faces import FaceLocator
from deepscreen.media.intake import take_in
from deepscreen.media.samples import Frame, SamplingPlan
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits
from deepscreen.training.image_features import ViewFeatures, load_views, save_views
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.launder_video import CLIP_STRESSES, Laundering, laundered_clip

FRAMES_PER_CLIP = 6
STRESSED_SHARE = 0.2  # of the clips, drawn by hash


@dataclass(frozen=True, slots=True, repr=False)
class ClipViews:
    """The views of one clip, in order of time."""

    frames: list[ViewFeatures]
    faces: list[ViewFeatures]

    @property
    def mean_classes(self) -> NDArray[np.float32]:
        """Mean class tokens over frames, flattened: a linear head's logit of it is the mean of its frame logits."""
        return _mean([v.classes.ravel() for v in self.frames])

    @property
    def mean_face_classes(self) -> NDArray[np.float32]:
        """Mean class tokens over face crops, flattened; there must be one."""
        return _mean([v.classes.ravel() for v in self.faces])

    @property
    def mean_last_class(self) -> NDArray[np.float32]:
        """Mean class token of the last block: for the bare baseline only."""
        return _mean([v.last_class for v in self.frames])


class VideoFeatureCache:
    """Features by clip, kept as one .npz a clip; clips go through the same decoder as evidence does."""

    def __init__(self, folder: Path, clip: ClipFeatures, locator: FaceLocator, decoder: Decoder) -> None:
        self._folder, self._clip, self._locator, self._decoder = folder, clip, locator, decoder
        folder.mkdir(parents=True, exist_ok=True)

    def features(self, file: LabelledFile) -> ClipViews:
        """All views of one clip."""
        path = self._path(file.key)
        if not path.exists():
            save_views(path, list(self._compute(file, file.path)))
        return _clip_views(load_views(path))

    def stressed(self, file: LabelledFile) -> dict[str, ClipViews]:
        """The clip after each of ``CLIP_STRESSES``, by its name; nothing for clips that are not tested so."""
        if item_rng(file.key, "stress", 0).random() >= STRESSED_SHARE:
            return {}
        return {name: self._laundered(file, laundering) for name, laundering in CLIP_STRESSES.items()}

    def _laundered(self, file: LabelledFile, laundering: Laundering) -> ClipViews:
        path = self._path(f"{laundering}|{file.key}")
        if not path.exists():
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "laundered.mp4"
                copy.write_bytes(laundered_clip(file.path, laundering))
                save_views(path, list(self._compute(file, copy)))
        return _clip_views(load_views(path))

    def _path(self, what: str) -> Path:
        name = hashlib.sha256(f"{self._clip.identity}|{FRAMES_PER_CLIP}|{what}".encode()).hexdigest()[:32]
        return self._folder / f"{name}.npz"

    def _compute(self, file: LabelledFile, path: Path) -> Iterator[ViewFeatures]:
        for frame in self._frames(path):
            if min(frame.pixels.shape[:2]) < MIN_PICTURE_PX:
                continue
            yield self._view(file, frame, "whole", whole_view(frame.pixels).pixels)
            faces = self._locator.locate(frame.pixels, max_faces=1)
            if faces and faces[0].size_px >= MIN_FACE_PX:
                yield self._view(file, frame, "face", face_view(frame.pixels, faces[0]).pixels)

    def _frames(self, path: Path) -> Iterator[Frame]:
        intake = take_in(path, limits=Limits())
        stream = self._decoder.examine(intake).facts.stream("video")
        seconds = (stream.duration_seconds_measured or stream.duration_seconds_claimed or 0.1) if stream else 0.1
        step = seconds / FRAMES_PER_CLIP
        plan = SamplingPlan(tuple(round((k + 0.5) * step, 6) for k in range(FRAMES_PER_CLIP)))
        return self._decoder.frames(intake, plan)

    def _view(self, file: LabelledFile, frame: Frame, subject: str, view: NDArray[np.uint8]) -> ViewFeatures:
        return ViewFeatures.of(self._clip, view, file, f"{frame.pts_seconds:.3f}", subject, file.label, None)


def _clip_views(views: Sequence[ViewFeatures]) -> ClipViews:
    return ClipViews([v for v in views if v.subject == "whole"], [v for v in views if v.subject == "face"])


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.mean(vectors, axis=0, dtype=np.float64), dtype=np.float32)
