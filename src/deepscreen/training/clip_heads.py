"""The three heads of ``video_clip``, fitted with whole sources held out, and what they make of clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import CLASS_BLOCKS
from deepscreen.detectors.kernel_head import ClassHead
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.video_head import FACE_SHARE
from deepscreen.evaluation.protocols import source_weights
from deepscreen.training.clip_votes import fit_vote
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.video_features import ClipViews
from deepscreen.training.view_fit import CLASS_L2, Rows
from deepscreen.training.weighted_logistic import fit_logistic

# With few clips, fewer blocks carry further: on unseen systems the last ones beat all six.
FRAME_BLOCKS, FACE_BLOCKS = (10, 11), (9, 10, 11)
BLOCK_WIDTH = 768


@dataclass(frozen=True, slots=True, repr=False)
class ClipTable:
    """Labelled clips, row by row. ``wholes``, ``faces``: (n, 6 * 768) means over frames; NaN rows without a face."""

    files: list[LabelledFile]
    folds: NDArray[np.int64]
    wholes: NDArray[np.float32]
    faces: NDArray[np.float32]
    last_block: NDArray[np.float32]  # (n, 768) of whole frames, for the bare baseline

    @classmethod
    def of(cls, files: Sequence[LabelledFile], folds: NDArray[np.int64], views: Sequence[ClipViews]) -> ClipTable:
        """``views[i]``: of ``files[i]``."""
        wholes = np.stack([v.mean_classes for v in views])
        none = np.full(wholes.shape[1], np.nan, np.float32)
        faces = np.stack([v.mean_face_classes if v.faces else none for v in views])
        return cls(list(files), folds, wholes, faces, np.stack([v.mean_last_class for v in views]))

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 = spoof."""
        return np.array([file.label for file in self.files])

    @property
    def sources(self) -> list[str]:
        """The source of each clip."""
        return [file.source for file in self.files]

    def weights_of(self, chosen: NDArray[np.bool_]) -> FloatArray:
        """What each of the *chosen* clips weighs: their sources and classes count alike."""
        rows = np.flatnonzero(chosen)
        return source_weights([self.files[k].source for k in rows], self.labels[rows].tolist())

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """Whether a face was seen."""
        return ~np.isnan(self.faces[:, 0])


@dataclass(frozen=True, slots=True, repr=False)
class ClipHeads:
    """Class heads: of whole frames, of faces in clips, of faces in pictures; each on all six blocks' class tokens.

    All are linear: what a clip's mean tokens say is the mean of what its frames say.
    """

    frame: ClassHead
    clip_face: LinearHead
    face: ClassHead

    def parts(self, wholes: NDArray[np.float32], faces: NDArray[np.float32]) -> FloatArray:
        """(n, 3) log-odds [frame, clip_face, face]; NaN without a face."""
        return np.column_stack([self.frame.logit(wholes), self.clip_face.logit(faces), self.face.logit(faces)])


@dataclass(frozen=True, slots=True, repr=False)
class ClipVotes:
    """How the three heads' log-odds are joined."""

    face: LinearHead
    with_face: LinearHead
    no_face: LinearHead

    def logits(self, parts: FloatArray) -> FloatArray:
        """Log-odds of clips (n,) from their *parts* (n, 3)."""
        logits = self.no_face.logit(parts[:, :1])
        faced = ~np.isnan(parts[:, 1])
        joined = np.column_stack([parts[:, 0], self.face.logit(parts[:, 1:])])
        logits[faced] = self.with_face.logit(joined[faced])
        return logits


def fit_heads(clips: ClipTable, pictures: Rows, chosen: NDArray[np.bool_], pictured: NDArray[np.bool_]) -> ClipHeads:
    """Heads on the *chosen* clips and the *pictured* views of ``pictures``, which are faces."""
    faced = chosen & clips.has_face
    labels = clips.labels
    taught = pictured & pictures.teaches_classes
    return ClipHeads(
        frame=_on_blocks(clips.wholes[chosen], labels[chosen], clips.weights_of(chosen), FRAME_BLOCKS),
        clip_face=_on_blocks(clips.faces[faced], labels[faced], clips.weights_of(faced), FACE_BLOCKS),
        face=fit_logistic(pictures.classes[taught], pictures.labels[taught], pictures.weights_of(taught), l2=CLASS_L2),
    )


def heads_by_fold(clips: ClipTable, pictures: Rows) -> Iterator[tuple[int, ClipHeads]]:
    """For each fold the heads fitted on all others."""
    for fold in np.unique(clips.folds):
        yield int(fold), fit_heads(clips, pictures, clips.folds != fold, pictures.folds != fold)


def held_out_parts(clips: ClipTable, heads: Mapping[int, ClipHeads]) -> FloatArray:
    """(n, 3): every clip by the heads that saw neither its source nor its group."""
    parts = np.zeros((len(clips.files), 3))
    for fold, own in heads.items():
        rows = clips.folds == fold
        parts[rows] = own.parts(clips.wholes[rows], clips.faces[rows])
    return parts


def fit_votes(clips: ClipTable, parts: FloatArray, chosen: NDArray[np.bool_]) -> ClipVotes:
    """The votes on held-out *parts* of the *chosen* clips."""
    labels, faced = clips.labels, clips.has_face & chosen
    face = fit_vote(parts[faced, 1:], (0.5, 0.5), labels[faced], clips.weights_of(faced))
    joined = np.column_stack([parts[:, 0], face.logit(parts[:, 1:])])[faced]
    return ClipVotes(
        face=face,
        with_face=fit_vote(joined, (1 - FACE_SHARE, FACE_SHARE), labels[faced], clips.weights_of(faced)),
        no_face=fit_vote(parts[chosen, :1], (1.0,), labels[chosen], clips.weights_of(chosen)),
    )


def votes_by_fold(clips: ClipTable, parts: FloatArray) -> dict[int, ClipVotes]:
    """For each fold the votes fitted on all others."""
    return {int(fold): fit_votes(clips, parts, clips.folds != fold) for fold in np.unique(clips.folds)}


def voted(votes: Mapping[int, ClipVotes], parts: FloatArray, folds: NDArray[np.int64]) -> FloatArray:
    """Log-odds of clips, each by the votes of its fold."""
    logits = np.zeros(len(parts))
    for fold, own in votes.items():
        logits[folds == fold] = own.logits(parts[folds == fold])
    return logits


def without_faces(parts: FloatArray) -> FloatArray:
    """The parts of the same clips, had no face been seen."""
    return np.column_stack([parts[:, :1], np.full((len(parts), 2), np.nan)])


def _on_blocks(
    classes: NDArray[np.float32], labels: NDArray[np.int64], weights: FloatArray, blocks: tuple[int, ...]
) -> LinearHead:
    """A head on some *blocks*, written as one on all: the others have no weight."""
    columns = np.concatenate([np.arange(BLOCK_WIDTH) + CLASS_BLOCKS.index(b) * BLOCK_WIDTH for b in blocks])
    fitted = fit_logistic(classes[:, columns], labels, weights, l2=CLASS_L2)
    mean, scale, coef = np.zeros(classes.shape[1]), np.ones(classes.shape[1]), np.zeros(classes.shape[1])
    mean[columns], scale[columns], coef[columns] = fitted.mean, fitted.scale, fitted.coef
    return LinearHead(mean, scale, coef, fitted.intercept)
