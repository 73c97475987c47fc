"""Timelines and spectrograms: which stretches stand out, and what is drawn where."""

import cv2
import numpy as np
import pytest

from deepscreen.detectors.contract import Faithfulness, SpectrogramSaliency, TimelinePoint
from deepscreen.evidence.axes import clock, time_ticks
from deepscreen.evidence.render import render_spectrogram, render_timeline, suspicious_spans
from deepscreen.evidence.spectrogram import LEFT_PX as SPECTROGRAM_LEFT_PX
from deepscreen.evidence.spectrogram import PLOT_HEIGHT_PX, PLOT_WIDTH_PX
from deepscreen.evidence.spectrogram import TOP_PX as SPECTROGRAM_TOP_PX
from deepscreen.evidence.timeline_drawing import BOTTOM_PX, HEIGHT_PX, LEFT_PX, RIGHT_PX, SHADE, TOP_PX, WIDTH_PX


def decoded(png: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def points(logits: list[float], *, step: float = 0.5, track: int | None = None) -> list[TimelinePoint]:
    return [TimelinePoint(k * step, (k + 1) * step, logit, track) for k, logit in enumerate(logits)]


def test_span_is_a_run_of_points_over_the_threshold_with_its_peak() -> None:
    spans = suspicious_spans(points([-1, 2, 3, 2.5, -1, 1.5, -2]), threshold_logit=1.0)
    assert spans == (TimelinePoint(0.5, 2.0, 3.0), TimelinePoint(2.5, 3.0, 1.5))


def test_point_at_the_threshold_is_not_over_it() -> None:
    assert suspicious_spans(points([1.0, 1.0]), threshold_logit=1.0) == ()


def test_spans_that_touch_or_overlap_are_merged() -> None:
    windows = [
        TimelinePoint(0, 4, 2.0),
        TimelinePoint(2, 6, -1.0),
        TimelinePoint(4, 8, 3.0),
        TimelinePoint(8.0004, 9, 1.5),
    ]
    assert suspicious_spans(windows, threshold_logit=1.0) == (TimelinePoint(0, 9, 3.0),)


def test_nothing_is_said_about_time_between_points_that_do_not_touch() -> None:
    spans = suspicious_spans([TimelinePoint(0, 1, 5.0), TimelinePoint(60, 61, 4.0)], threshold_logit=1.0)
    assert spans == (TimelinePoint(0, 1, 5.0), TimelinePoint(60, 61, 4.0))


def test_short_point_inside_a_long_one_does_not_shorten_the_span() -> None:
    spans = suspicious_spans([TimelinePoint(0, 10, 2.0), TimelinePoint(1, 2, 5.0)], threshold_logit=1.0)
    assert spans == (TimelinePoint(0, 10, 5.0),)


def test_tracks_have_their_own_spans_in_order_of_time_whatever_the_order_of_points() -> None:
    mixed = points([2, 2, -1], track=1) + points([-1, 3, 3], track=0) + points([2, -1, -1])
    spans = suspicious_spans(mixed[::-1], threshold_logit=1.0)
    assert spans == (TimelinePoint(0, 0.5, 2), TimelinePoint(0, 1, 2, 1), TimelinePoint(0.5, 1.5, 3, 0))


def test_timeline_shades_exactly_the_span() -> None:
    spans = (TimelinePoint(5.0, 7.5, 3.0),)
    page = decoded(render_timeline(points([-5.0] * 20), spans, duration_seconds=10.0, title="t"))
    assert page.shape == (HEIGHT_PX, WIDTH_PX, 3)
    shaded = np.flatnonzero((page[(TOP_PX + BOTTOM_PX) // 2 - 10] == SHADE).all(axis=1))
    width = RIGHT_PX - LEFT_PX
    assert (shaded[0], shaded[-1]) == pytest.approx((LEFT_PX + width * 0.5, LEFT_PX + width * 0.75), abs=1)


@pytest.mark.parametrize(("logit", "share"), [(0.0, 0.5), (6.0, 1.0), (-3.0, 0.25), (99.0, 1.0)])
def test_line_lies_at_its_value_on_the_fixed_scale(logit: float, share: float) -> None:
    page = decoded(render_timeline(points([logit] * 9), (), duration_seconds=4.5, title="t"))
    column = page[TOP_PX - 3 : BOTTOM_PX + 4, (LEFT_PX + RIGHT_PX) // 2 + 30].astype(int).sum(axis=1)
    dark = np.flatnonzero(column < 160) + TOP_PX - 3
    assert dark.mean() == pytest.approx(BOTTOM_PX - share * (BOTTOM_PX - TOP_PX), abs=2)


def test_line_breaks_where_a_track_was_away() -> None:
    away = [p for p in points([0.0] * 40, track=0) if not 5 < p.start_seconds < 15]
    page = decoded(render_timeline(away, (), duration_seconds=20.0, title="t"))
    middle = page[(TOP_PX + BOTTOM_PX) // 2 - 1, LEFT_PX : RIGHT_PX + 1]
    blue = np.flatnonzero(np.abs(middle.astype(int) - (0, 114, 178)).sum(axis=1) < 40)
    quarter = (RIGHT_PX - LEFT_PX) / 4
    assert not ((blue > 1.2 * quarter) & (blue < 2.8 * quarter)).any()
    assert (blue < quarter).any()
    assert (blue > 3 * quarter).any()


def test_timeline_of_many_tracks_and_of_none_is_drawn() -> None:
    crowd = [p for track in range(300) for p in points([0.1 * track % 7 - 3] * 3, track=track)]
    assert decoded(render_timeline(crowd, (), duration_seconds=1.5, title="t")).shape[1] == WIDTH_PX
    assert decoded(render_timeline([], (), duration_seconds=0.0, title="t")).shape[1] == WIDTH_PX


def test_timeline_is_the_same_bytes_twice_and_refuses_what_is_not_finite() -> None:
    line = points([1.0, 2.0, -1.0])
    first, second = (render_timeline(line, (), duration_seconds=1.5, title="t") for _ in range(2))
    assert first == second
    with pytest.raises(ValueError, match="finite"):
        render_timeline([TimelinePoint(0, float("nan"), 1.0)], (), duration_seconds=1.5, title="t")


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [(0, 0, "00:00"), (75.4, 0, "01:15"), (59.996, 2, "01:00.00"), (3661, 0, "1:01:01"), (12.345, 1, "00:12.3")],
)
def test_clock(seconds: float, decimals: int, text: str) -> None:
    assert clock(seconds, decimals=decimals) == text


@pytest.mark.parametrize(("start", "end"), [(0, 0.05), (0, 0.9), (3, 13), (0, 59), (0, 3600), (7000, 21600), (0, 1e6)])
def test_time_ticks_are_few_distinct_and_inside(start: float, end: float) -> None:
    ticks = time_ticks(start, end, max_ticks=12)
    assert 2 <= len(ticks) <= 13
    assert len({label for _, label in ticks}) == len(ticks)
    assert all(start - 1e-6 <= seconds <= end + 1e-6 for seconds, _ in ticks)


MELS, FRAMES = 40, 60


def spectrogram(values: np.ndarray, faithfulness: Faithfulness | None = None, **fields: object) -> SpectrogramSaliency:
    quiet = np.full((MELS, FRAMES), -60.0, dtype=np.float32)
    mels = np.linspace(50.0, 8000.0, MELS)
    given = {"log_power_db": quiet, "start_seconds": 2.0, "end_seconds": 5.0, "mel_frequencies_hz": mels, **fields}
    return SpectrogramSaliency(values=values, faithfulness=faithfulness or Faithfulness(0.5, 0.1), **given)


def plot_of(saliency: SpectrogramSaliency) -> np.ndarray:
    page = decoded(render_spectrogram(saliency, title="t"))
    rows = slice(SPECTROGRAM_TOP_PX, SPECTROGRAM_TOP_PX + PLOT_HEIGHT_PX)
    return page[rows, SPECTROGRAM_LEFT_PX : SPECTROGRAM_LEFT_PX + PLOT_WIDTH_PX]


def test_spectrogram_saliency_lands_on_its_cell_with_low_frequencies_below() -> None:
    values = np.zeros((MELS, FRAMES), dtype=np.float32)
    values[4:7, 30:36] = 4.0
    plot = plot_of(spectrogram(values)).astype(int)
    y, x = np.nonzero(plot[:, :, 0] - plot[:, :, 2] > 60)
    assert x.mean() == pytest.approx(33 / FRAMES * PLOT_WIDTH_PX, abs=3)
    assert y.mean() == pytest.approx((1 - 5.5 / MELS) * PLOT_HEIGHT_PX, abs=3)


def test_spectrogram_without_saliency_is_grey_and_louder_is_lighter() -> None:
    power = np.full((MELS, FRAMES), -60.0, dtype=np.float32)
    power[:, :20] = 0.0
    plot = plot_of(spectrogram(np.zeros((MELS, FRAMES), dtype=np.float32), log_power_db=power)).astype(int)
    assert np.ptp(plot, axis=2).max() == 0
    assert plot[100, 50, 0] > plot[100, 1000, 0] + 100


def test_spectrogram_refuses_what_is_withheld_or_does_not_fit() -> None:
    zeros = np.zeros((MELS, FRAMES), dtype=np.float32)
    with pytest.raises(ValueError, match="withheld"):
        render_spectrogram(spectrogram(zeros, Faithfulness(0.0, 0.1)), title="t")
    with pytest.raises(ValueError, match="mels, frames"):
        render_spectrogram(spectrogram(zeros[:, :-1]), title="t")
    with pytest.raises(ValueError, match="finite"):
        render_spectrogram(spectrogram(zeros + np.float32(np.nan)), title="t")
    with pytest.raises(ValueError, match="start < end"):
        render_spectrogram(spectrogram(zeros, end_seconds=2.0), title="t")
