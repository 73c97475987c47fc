"""Second-long slices of speech: none read twice, speech only, and what stands out from both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepscreen.detectors.speech import WINDOW_FRAMES, WINDOW_SAMPLES, SpeechWindow
from deepscreen.detectors.speech_features import ReadWindow
from deepscreen.detectors.speech_slices import contrasted, owned_starts, slices_of


def window(start_seconds: float, speech: slice = slice(0, WINDOW_FRAMES)) -> SpeechWindow:
    rng = np.random.default_rng(round(start_seconds * 10))
    mask = np.zeros(WINDOW_FRAMES, np.bool_)
    mask[speech] = True
    samples = rng.normal(0, 0.1, WINDOW_SAMPLES).astype(np.float32)
    return SpeechWindow(samples, mask, start_seconds, start_seconds + 3)


def starts(windows: list[SpeechWindow]) -> list[float]:
    pairs = zip(windows, owned_starts(windows), strict=True)
    return [w.start_seconds + first / 100 for w, own in pairs for first in own]


def test_slices_of_a_track_lie_on_one_grid_and_none_comes_twice() -> None:
    track = [window(1.5 * k) for k in range(5)]
    assert sorted(starts(track)) == pytest.approx([0.25 * k for k in range(33)])


def test_windows_with_a_gap_between_them_are_read_to_their_edges() -> None:
    assert sorted(starts([window(0.0), window(6.0)])) == pytest.approx([0.25 * k for k in (*range(9), *range(24, 33))])


def test_a_slice_without_half_a_second_of_speech_is_left_out() -> None:
    states = torch.randn(4, 150, 512, generator=torch.Generator().manual_seed(0))
    found = list(slices_of(ReadWindow.of(window(3.0, slice(0, 120)), states), (0, 50, 100, 150, 200)))
    assert [one.start_seconds for one in found] == pytest.approx([3.0, 3.5])


def test_a_slice_reads_nothing_from_outside_its_second() -> None:
    states = torch.randn(4, 150, 512, generator=torch.Generator().manual_seed(0))
    other = states.clone()
    other[:, :50] = 7.0
    other[:, 100:] = 7.0
    one, same = (next(slices_of(ReadWindow.of(window(0.0), s), (100,))).features for s in (states, other))
    assert np.array_equal(one.whisper, same.whisper)
    assert np.array_equal(one.spectral, same.spectral)


def test_a_second_stands_out_by_what_it_is_above_both_sides() -> None:
    logits = np.where(np.arange(20) == 9, 3.0, np.where(np.arange(20) < 9, -1.0, 1.0))
    points = contrasted((0.5 * np.arange(20))[::-1], logits[::-1])
    assert [p.start_seconds for p in points] == pytest.approx(0.5 * np.arange(20))
    assert points[9].spoof_logit == pytest.approx(2.0)
    assert points[9].end_seconds == pytest.approx(5.5)
    assert max(p.spoof_logit for k, p in enumerate(points) if k != 9) <= 0


def test_nothing_has_no_moments() -> None:
    assert contrasted(np.zeros(0), np.zeros(0)) == ()
