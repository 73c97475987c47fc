"""The heads of ``video_clip``: what a frame, a face and a clip are worth, each as log-odds.

A clip is a vote. Three heads know different things: one read whole frames of clips, one faces of clips, one faces of
pictures. On systems that none of them saw, their plain mean was better than any weights that were fitted on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import ViewTokens
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.view_head import ViewHead

WITH_FACE, NO_FACE = "with_face", "no_face"
LEAST_WITH_FACE = 0.25  # of the frames: a clip whose moments are judged by faces too
FACE_SHARE = 2 / 3  # of a clip's vote: two of its three heads read faces


@dataclass(frozen=True, slots=True, repr=False)
class VideoHead:
    """``frame`` reads whole frames, ``face`` face crops, fitted on faces of pictures; their maps are those of
    the picture detectors. ``clip_face`` is another one on face crops, fitted on clips. ``face_vote`` joins
    [clip_face, face], ``vote_with_face`` [mean over frames, worst face], ``vote_no_face`` [mean over frames]."""

    frame: ViewHead
    face: ViewHead
    clip_face: LinearHead
    face_vote: LinearHead
    vote_with_face: LinearHead
    vote_no_face: LinearHead

    def frame_logit(self, tokens: ViewTokens) -> float:
        """Log-odds of a whole frame."""
        return float(self.frame.classes.logit(tokens.classes.ravel()))

    def face_logit(self, tokens: ViewTokens) -> float:
        """Log-odds of a face crop."""
        return self.face_class_logit(tokens.classes.ravel())

    def face_class_logit(self, classes: NDArray[np.float32]) -> float:
        """Log-odds of a face crop by its class tokens (6 * 768,)."""
        return float(self.face_vote.logit(np.array([self.clip_face.logit(classes), self.face.classes.logit(classes)])))

    def clip_logit(self, frame_mean: float, face_worst: float | None) -> tuple[float, str]:
        """Log-odds of the clip and the calibration stratum; ``face_worst``: highest track mean, None without faces."""
        if face_worst is None:
            return float(self.vote_no_face.logit(np.array([frame_mean]))), NO_FACE
        return float(self.vote_with_face.logit(np.array([frame_mean, face_worst]))), WITH_FACE

    def moment_logits(self, frames: Sequence[float], faces: Sequence[float]) -> FloatArray:
        """Log-odds of single frames (n,), whose worst face is NaN where none is seen; on one scale throughout a clip.

        Where faces come and go, a frame without one is taken for one with the face that is usual in the clip.
        """
        wholes, worst = np.asarray(frames, dtype=np.float64), np.asarray(faces, dtype=np.float64)
        seen = ~np.isnan(worst)
        if seen.mean() < LEAST_WITH_FACE:
            return self.vote_no_face.logit(wholes[:, None])
        usual = np.where(seen, worst, np.median(worst[seen]))
        return self.vote_with_face.logit(np.column_stack([wholes, usual]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The head as named arrays for a safetensors file."""
        parts = {name: getattr(self, name) for name in (*_VIEWS, *_LINEAR)}
        return {key: array for name, head in parts.items() for key, array in head.arrays(name).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> VideoHead:
        """The head that ``arrays`` stored."""
        frame, face = (ViewHead.from_arrays(arrays, name) for name in _VIEWS)
        return cls(frame, face, *(LinearHead.from_arrays(arrays, name) for name in _LINEAR))


_VIEWS = ("frame", "face")
_LINEAR = ("clip_face", "face_vote", "vote_with_face", "vote_no_face")
