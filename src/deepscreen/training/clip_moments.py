"""What it means that a moment of a clip stands out: calibrated on hosts joined from held-out clips, frame by frame.

A minute of bona fide clips of one source gives its highest contrast: that is what chance reaches, however often one
looks. One of its frames in exchange for a frame of a spoof of the same fold gives the contrast of a manipulated moment.
Only logits are joined here; ``deepscreen evaluate-spans`` judges the outcome on clips that are really made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.moments import contrasts
from deepscreen.detectors.video_head import VideoHead
from deepscreen.evaluation.protocols import source_weights
from deepscreen.evaluation.span_hosts import Host, hosts_of
from deepscreen.scoring.calibration import Stratum
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.video_features import ClipViews

EXCHANGES_PER_HOST = 6
MIN_FRAMES = 8  # of a host
STEP_SECONDS = 1.0
# A moment that is looked at closer has two neighbours within 0.3 s that say much the same: see ``stand_out``.
CONFIRMED = 3 / 4


@dataclass(frozen=True, slots=True, repr=False)
class ClipFrames:
    """Log-odds of a clip's frames, in order of time. ``faces``: NaN without a face."""

    wholes: FloatArray
    faces: FloatArray

    @classmethod
    def of(cls, head: VideoHead, views: ClipViews) -> ClipFrames:
        """What *head* reads in cached views."""
        face_of = {view.variant: view for view in views.faces}
        wholes = [float(head.frame.classes.logit(view.classes.ravel())) for view in views.frames]
        faces = [
            head.face_class_logit(face_of[view.variant].classes.ravel()) if view.variant in face_of else np.nan
            for view in views.frames
        ]
        return cls(np.array(wholes), np.array(faces))


@dataclass(frozen=True, slots=True, repr=False)
class Peaks:
    """How much moments stood out (n,), 1 = manipulated; ``folds`` and ``sources``: of their hosts."""

    values: FloatArray
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]
    sources: list[str]


def moment_peaks(
    files: Sequence[LabelledFile], folds: NDArray[np.int64], views: Sequence[ClipViews], heads: Mapping[int, VideoHead]
) -> Peaks:
    """Highest contrasts of bona fide hosts and contrasts of exchanged frames, by the heads of their fold."""
    frames = {
        file.key: ClipFrames.of(heads[int(fold)], own) for file, fold, own in zip(files, folds, views, strict=True)
    }
    rows: list[tuple[float, int, int, str]] = []
    for host in hosts_of(files, folds):
        spoofs = [f for f, fold in zip(files, folds, strict=True) if f.label == 1 and fold == host.fold]
        own = _joined([frames[clip.key] for clip in host.clips])
        if len(own.wholes) < MIN_FRAMES or not spoofs:
            continue
        head = heads[host.fold]
        rows.append((float(_outstanding(head, own).max()), 0, host.fold, host.source))
        rows.extend((v, 1, host.fold, host.source) for v in _exchanged(head, host, own, spoofs, frames))
    values, labels, numbers, sources = zip(*rows, strict=True)
    return Peaks(np.array(values), np.array(labels), np.array(numbers), list(sources))


def fit_moments(peaks: Peaks, chosen: NDArray[np.bool_]) -> Stratum:
    """The calibration of the *chosen* peaks."""
    sources = np.array(peaks.sources)[chosen].tolist()
    labels = peaks.labels[chosen]
    return fit_stratum(peaks.values[chosen], labels, sources, source_weights(sources, labels.tolist()))


def _exchanged(
    head: VideoHead, host: Host, own: ClipFrames, spoofs: Sequence[LabelledFile], frames: Mapping[str, ClipFrames]
) -> Iterator[float]:
    rng = item_rng(host.name, "exchange", 0)
    for _ in range(EXCHANGES_PER_HOST):
        spoof = frames[spoofs[int(rng.integers(len(spoofs)))].key]
        place, k = int(rng.integers(2, len(own.wholes) - 2)), int(rng.integers(len(spoof.wholes)))
        wholes, faces = own.wholes.copy(), own.faces.copy()
        wholes[place], faces[place] = spoof.wholes[k], spoof.faces[k]
        yield float(_outstanding(head, ClipFrames(wholes, faces))[place])


def _outstanding(head: VideoHead, frames: ClipFrames) -> FloatArray:
    times = np.arange(len(frames.wholes), dtype=np.float64) * STEP_SECONDS
    return CONFIRMED * contrasts(times, head.moment_logits(frames.wholes.tolist(), frames.faces.tolist()))


def _joined(clips: Sequence[ClipFrames]) -> ClipFrames:
    return ClipFrames(np.concatenate([c.wholes for c in clips]), np.concatenate([c.faces for c in clips]))
