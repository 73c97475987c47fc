"""What it means that a second of speech stands out: peaks of made half minutes, judged without their own fold."""

from __future__ import annotations

import numpy as np
import pytest

from deepscreen.detectors.contract import MOMENT_STRATUM, TimelinePoint
from deepscreen.evaluation.span_cases import UNTOUCHED, SpanCase
from deepscreen.evaluation.span_figures import span_figures
from deepscreen.evaluation.speech_spans import read_speech_cases
from deepscreen.scoring.calibration import Calibration
from deepscreen.training.audio_calibration import with_moments
from deepscreen.training.speech_moments import SpokenCase, speech_peaks


def spoken(number: int, contrast: float, *, is_control: bool, elsewhere: float = 0.0) -> SpokenCase:
    """Half a minute whose second from 10 s on stands out by *contrast*, and that from 20 s on by *elsewhere*."""
    maker, start, end = (UNTOUCHED, 0.0, 0.0) if is_control else ("spoof", 10.0, 11.0)
    case = SpanCase("", f"host {number}", f"source {number}", number % 3, maker, "", start, end)
    values = {10.0: contrast, 20.0: elsewhere}
    times = np.arange(0, 29, 0.25).tolist()
    return SpokenCase(case, tuple(TimelinePoint(t, t + 1, values.get(t, -0.5)) for t in times))


def cases(strength: float, n: int = 12) -> list[SpokenCase]:
    rng = np.random.default_rng(0)
    found = [spoken(k, float(rng.normal()), is_control=True) for k in range(n)]
    return found + [spoken(k, float(rng.normal(strength)), is_control=False) for k in range(n)]


def test_a_control_gives_its_highest_and_a_case_that_of_its_second() -> None:
    control, case = spoken(0, 1.0, is_control=True, elsewhere=3.0), spoken(1, 2.0, is_control=False, elsewhere=5.0)
    peaks = speech_peaks([control, case])
    assert peaks.values.tolist() == [3.0, 2.0]
    assert peaks.labels.tolist() == [0, 1]
    assert (peaks.folds.tolist(), peaks.sources) == ([0, 1], ["source 0", "source 1"])


def test_a_second_without_speech_says_nothing() -> None:
    case = spoken(0, 2.0, is_control=False)
    silent = SpokenCase(case.case, tuple(p for p in case.moments if abs(p.start_seconds - 10) > 1))
    assert speech_peaks([silent]).values.tolist() == [0.0]


def test_seconds_that_stand_out_are_found_and_controls_are_left_alone() -> None:
    figures = span_figures(read_speech_cases(cases(12.0)), 1.0)["at_policy_threshold"]
    assert figures["found"]["rate"] == 1.0
    assert figures["false_spans_per_untouched_clip"] == 0.0


def test_a_fold_is_judged_by_the_calibration_of_the_others() -> None:
    plain = cases(3.0)
    moved = [
        SpokenCase(one.case, tuple(TimelinePoint(p.start_seconds, p.end_seconds, -p.spoof_logit) for p in one.moments))
        if one.case.fold == 0
        else one
        for one in plain
    ]
    before, after = read_speech_cases(plain), read_speech_cases(moved)
    for was, now in zip(before, after, strict=True):
        values = [[p.spoof_logit for p in one.moments] for one in (was, now)]
        first, second = np.array(values[0]), np.array(values[1])
        if was.case.fold == 0:  # the same line, read at the opposite contrasts
            assert np.allclose(first + second, (first + second)[0])
        else:
            assert not np.allclose(first, second)


def test_a_calibration_without_cases_of_both_classes_has_no_stratum_for_moments() -> None:
    calibration = Calibration("audio_whisper", "ab" * 32, {})
    controls = [one for one in cases(3.0) if one.case.is_untouched]
    assert with_moments(calibration, speech_peaks(controls)) == calibration
    assert with_moments(calibration, speech_peaks([])) == calibration
    stratum = with_moments(calibration, speech_peaks(cases(3.0))).strata[MOMENT_STRATUM]
    assert stratum.slope > 0
    assert (stratum.n_spoof, stratum.n_bona_fide) == (12, 12)
    assert -stratum.offset / stratum.slope == pytest.approx(1.7, abs=1.0)  # between both means
