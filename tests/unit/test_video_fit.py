"""The fit of ``video_clip`` on made-up features: what is held out, and that the detector says what the fit said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import ViewTokens
from deepscreen.detectors.video_head import VideoHead
from deepscreen.training.clip_heads import ClipTable
from deepscreen.training.clip_moments import Peaks, fit_moments, moment_peaks
from deepscreen.training.fit_image import fold_of
from deepscreen.training.fit_video import HeldOutVideo, VideoData, fold_head, hold_out
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.video_features import ClipViews
from deepscreen.training.view_fit import collect

BLOCKS, WIDTH, FRAMES = 6, 768, 6
SOURCES = 12
PATCHES = np.zeros((196, 4), np.float16)


@dataclass(frozen=True)
class Fit:
    data: VideoData
    views: list[ClipViews]
    held: HeldOutVideo

    def heads(self) -> dict[int, VideoHead]:
        return {fold: fold_head(self.held, fold) for fold in self.held.heads}


def labelled(name: str, label: int, source: int) -> LabelledFile:
    return LabelledFile(Path(name), name, label, "faceswap" if label else "real_face", "g", f"s{source}", "", None)


def view(file: LabelledFile, subject: str, variant: str, rng: np.random.Generator) -> ViewFeatures:
    """The first tenth of each block says the label, the rest nothing."""
    classes = rng.normal(size=(BLOCKS, WIDTH)).astype(np.float32)
    classes[:, : WIDTH // 10] += 0.6 * (2 * file.label - 1)
    return ViewFeatures(file.key, variant, subject, file.label, classes, PATCHES, None, classes[-1])


def clip_views(file: LabelledFile, rng: np.random.Generator, *, has_face: bool) -> ClipViews:
    wholes = [view(file, "whole", f"{k}.000", rng) for k in range(FRAMES)]
    return ClipViews(wholes, [view(file, "face", v.variant, rng) for v in wholes[1:]] if has_face else [])


@pytest.fixture(scope="module")
def fit() -> Fit:
    rng = np.random.default_rng(0)
    clips = [labelled(f"{s}-{k}-{label}.mp4", label, s) for s in range(SOURCES) for k in range(2) for label in (0, 1)]
    stills = [labelled(f"{s}-{k}-{label}.jpg", label, s) for s in range(SOURCES) for k in range(2) for label in (0, 1)]
    views = [clip_views(clip, rng, has_face=k % 5 > 0) for k, clip in enumerate(clips)]
    faces = {still.key: [view(still, "face", "base", rng)] for still in stills}
    folds = fold_of([*stills, *clips])
    still_folds, clip_folds = folds[: len(stills)], folds[len(stills) :]
    rows = collect(stills, still_folds, "face", lambda file: faces[file.key])
    data = VideoData(ClipTable.of(clips, clip_folds, views), rows, stills)
    return Fit(data, views, hold_out(data))


def tokens(views: list[ViewFeatures]) -> list[ViewTokens]:
    return [ViewTokens(v.classes, np.zeros((196, 4), np.float32)) for v in views]


def test_held_out_clips_are_told_apart(fit: Fit) -> None:
    labels = fit.data.clips.labels
    assert fit.held.logits[labels == 1].min() > fit.held.logits[labels == 0].max()


def test_detector_says_of_a_clip_what_the_fit_said(fit: Fit) -> None:
    heads = fit.heads()
    for row, views in enumerate(fit.views):
        head = heads[int(fit.data.clips.folds[row])]
        frame_mean = float(np.mean([head.frame_logit(t) for t in tokens(views.frames)]))
        faces = [head.face_logit(t) for t in tokens(views.faces)]
        logit, stratum = head.clip_logit(frame_mean, float(np.mean(faces)) if faces else None)
        assert logit == pytest.approx(fit.held.logits[row], abs=1e-4)
        assert stratum == ("with_face" if fit.data.clips.has_face[row] else "no_face")


def test_head_is_the_same_after_it_was_stored(fit: Fit) -> None:
    head = fit.heads()[0]
    again = VideoHead.from_arrays(head.arrays())
    one = tokens(fit.views[1].faces)[0]
    assert (again.frame_logit(one), again.face_logit(one)) == (head.frame_logit(one), head.face_logit(one))
    assert again.clip_logit(1.0, 2.0) == head.clip_logit(1.0, 2.0)


@pytest.fixture(scope="module")
def peaks(fit: Fit) -> Peaks:
    return moment_peaks(fit.data.clips.files, fit.data.clips.folds, fit.views, fit.heads())


def test_every_host_has_one_highest_contrast_and_some_exchanges(fit: Fit, peaks: Peaks) -> None:
    hosts = {
        (source, fold)
        for source, fold, label in zip(peaks.sources, peaks.folds, peaks.labels, strict=True)
        if label == 0
    }
    assert len(hosts) == (peaks.labels == 0).sum() == SOURCES
    assert (peaks.labels == 1).sum() == 6 * SOURCES
    fold_by_source = {f.source: int(fold) for f, fold in zip(fit.data.clips.files, fit.data.clips.folds, strict=True)}
    assert all(fold_by_source[source] == fold for source, fold in hosts)


def test_exchanged_moments_stand_out_and_count_as_spoof(peaks: Peaks) -> None:
    values: NDArray[np.float64] = peaks.values
    assert np.median(values[peaks.labels == 1]) > values[peaks.labels == 0].max()
    stratum = fit_moments(peaks, peaks.folds != 0)
    assert stratum.slope > 0
    assert stratum.n_bona_fide == sum(
        1 for fold, label in zip(peaks.folds, peaks.labels, strict=True) if fold != 0 and label == 0
    )
