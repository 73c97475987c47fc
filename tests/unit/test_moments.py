"""Moments that stand out: from both sides of them, together with their neighbours, on a calibration of their own."""

from __future__ import annotations

import numpy as np
import pytest

from deepscreen.detectors.contract import MOMENT_STRATUM, DetectorCard, Reading, Scored, TimelinePoint
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.moments import PLACES, closer_times, contrasts, stand_out
from deepscreen.detectors.patch_head import PatchHead
from deepscreen.detectors.video_head import VideoHead
from deepscreen.detectors.view_head import ViewHead
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.judgement import spans_of
from deepscreen.settings import VerdictPolicy

TIMES = [float(k) for k in range(20)]
CARD = DetectorCard("v", "video", "1", (), "")


def test_one_moment_stands_out_by_its_height_and_counts_half() -> None:
    logits = np.full(20, -2.0)
    logits[9] = 4.0
    found = stand_out(TIMES, logits)
    assert found[9] == pytest.approx(3.0)
    assert np.delete(found, 9).max() <= 0


def test_moment_that_neighbours_confirm_counts_more() -> None:
    times = sorted([*TIMES, 8.75, 9.25])
    logits = np.array([4.0 if 8.5 < t < 9.5 else -2.0 for t in times])
    assert stand_out(times, logits)[times.index(9.0)] == pytest.approx(6.0 * 3 / 4)


@pytest.mark.parametrize("logits", [np.full(20, 5.0), np.repeat([-3.0, 3.0], 10), np.repeat([3.0, -3.0], 10)])
def test_clip_that_leans_and_cut_to_another_scene_do_not_stand_out(logits: np.ndarray) -> None:
    assert stand_out(TIMES, logits).max() <= 0


def test_nothing_stands_out_with_nothing_around_it() -> None:
    assert contrasts(np.array([0.0, 0.5]), np.array([9.0, -9.0])).tolist() == [0.0, 0.0]
    assert stand_out([], np.zeros(0)).shape == (0,)


def test_closer_look_goes_to_the_most_outstanding_places_within_the_clip() -> None:
    outstanding = np.zeros(20)
    outstanding[[0, 7, 15]] = [3.0, 2.0, 1.0]
    found = closer_times(TIMES, outstanding, 20.0)
    assert found == (0.25, 0.5, 6.5, 6.75, 7.25, 7.5, 14.5, 14.75, 15.25, 15.5)
    assert len(found) <= 4 * PLACES


@pytest.mark.parametrize("times", [[], [1.0], [0.0, 0.5, 1.0, 1.5]])
def test_clip_whose_frames_lie_dense_is_not_looked_at_again(times: list[float]) -> None:
    assert closer_times(times, np.ones(len(times)), 2.0) == ()


def head(size: int, *coef: float) -> LinearHead:
    return LinearHead(np.zeros(size), np.ones(size), np.array(coef or (0.0,) * size), 0.0)


def video_head() -> VideoHead:
    views = ViewHead(head(2), PatchHead(np.zeros(1), 0.0, 0.0))
    return VideoHead(views, views, head(2), head(2, 0.5, 0.5), head(2, 1.0, 10.0), head(1, 1.0))


def test_frames_without_a_face_are_on_the_scale_of_those_with_one() -> None:
    logits = video_head().moment_logits([1.0, 2.0, 3.0], [0.5, np.nan, 0.7])
    assert logits.tolist() == pytest.approx([6.0, 2.0 + 10 * 0.6, 10.0])


def test_clip_with_hardly_a_face_is_judged_by_its_frames() -> None:
    assert video_head().moment_logits([1.0] * 5, [9.0, *[np.nan] * 4]).tolist() == [1.0] * 5


def outcome(spoof_logit: float) -> Scored:
    timeline = (TimelinePoint(0.0, 5.0, 9.0), TimelinePoint(5.0, 10.0, -9.0))
    moments = (TimelinePoint(0.0, 4.0, 0.0), TimelinePoint(4.0, 5.0, 9.0), TimelinePoint(5.0, 10.0, 0.0))
    return Scored(Reading("v", spoof_logit, 3), timeline=timeline, moments=moments)


@pytest.mark.parametrize(("spoof_logit", "span"), [(-5.0, (4.0, 5.0)), (5.0, (0.0, 5.0))])
def test_spans_are_outstanding_moments_unless_the_clip_is_a_spoof_as_a_whole(
    spoof_logit: float, span: tuple[float, float]
) -> None:
    stratum = Stratum(1.0, 0.0, ((1.0, 0.0),), 100, 100, 100)
    scale = Scale({"v": Calibration("v", "", {"all": stratum, MOMENT_STRATUM: stratum})}, {})
    found = spans_of(CARD, outcome(spoof_logit), scale, VerdictPolicy())
    assert [(s.start_seconds, s.end_seconds) for s in found] == [span]


def test_without_a_calibration_of_moments_the_timeline_speaks() -> None:
    stratum = Stratum(1.0, 0.0, ((1.0, 0.0),), 100, 100, 100)
    found = spans_of(CARD, outcome(-5.0), Scale({"v": Calibration("v", "", {"all": stratum})}, {}), VerdictPolicy())
    assert [(s.start_seconds, s.end_seconds) for s in found] == [(0.0, 5.0)]
