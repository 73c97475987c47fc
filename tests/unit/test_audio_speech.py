"""The speech gate: windows, masks and memory, with a detector that takes loud sound for speech."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.detectors.speech import (
    CHUNK_SAMPLES,
    MAX_WINDOWS,
    SPEECH_RMS,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    SpeechPass,
    SpeechSurvey,
    SpeechWindow,
    survey_speech,
)
from deepscreen.media.samples import Waveform

RATE_HZ = 16_000


def loud_is_speech(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    chunks = samples.reshape(-1, CHUNK_SAMPLES)
    return np.asarray(np.sqrt(np.square(chunks).mean(axis=1)) > 0.01, np.float32)


def sound(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """Noise in (seconds, level) parts."""
    rng = np.random.default_rng(0)
    pieces = [rng.standard_normal(round(seconds * RATE_HZ)) * level for seconds, level in parts]
    return np.concatenate(pieces).astype(np.float32)


def survey(samples: NDArray[np.float32], block_samples: int = 30 * RATE_HZ) -> SpeechSurvey:
    starts = range(0, len(samples), block_samples)
    blocks = (Waveform(samples[s : s + block_samples], RATE_HZ, s / RATE_HZ) for s in starts)
    return survey_speech(blocks, loud_is_speech)


def test_windows_lie_on_a_grid_of_half_overlap_until_the_end() -> None:
    found = survey(sound((7.0, 0.1)))
    assert [(w.start_seconds, w.end_seconds) for w in found.windows] == [(0.0, 3.0), (1.5, 4.5), (3.0, 6.0), (4.5, 7.0)]
    assert found.sound_seconds == pytest.approx(7.0)


def test_a_track_of_just_one_window_gives_one_window() -> None:
    assert len(survey(sound((3.0, 0.1))).windows) == 1


def test_a_short_recording_is_filled_with_zeros_that_the_mask_leaves_out() -> None:
    (window,) = survey(sound((1.3, 0.1))).windows
    assert window.samples.shape == (WINDOW_SAMPLES,)
    assert not window.samples[round(1.3 * RATE_HZ) :].any()
    assert window.speech.shape == (WINDOW_FRAMES,)
    assert window.speech[:130].all()
    assert not window.speech[130:].any()


def test_pauses_are_outside_the_mask_and_their_margins_inside() -> None:
    (window,) = survey(sound((1.0, 0.1), (1.0, 0.0), (1.0, 0.1))).windows
    assert window.speech[:105].all()
    assert not window.speech[120:180].any()
    assert window.speech[200:].all()


def test_windows_without_half_a_second_of_speech_are_left_out() -> None:
    assert survey(sound((0.4, 0.1), (2.6, 0.0))).windows == ()
    starts = [w.start_seconds for w in survey(sound((2.0, 0.1), (8.0, 0.0), (2.0, 0.1))).windows]
    assert starts == [0.0, 1.5, 7.5, 9.0]


@pytest.mark.parametrize("block_samples", [1_000, 7 * RATE_HZ + 13, 31 * RATE_HZ])
def test_block_lengths_do_not_change_the_windows(block_samples: int) -> None:
    samples = sound((5.0, 0.1), (4.0, 0.0), (31.3, 0.05))
    whole, cut = survey(samples, len(samples)), survey(samples, block_samples)
    assert [w.start_seconds for w in whole.windows] == [w.start_seconds for w in cut.windows]
    for one, other in zip(whole.windows, cut.windows, strict=True):
        assert np.array_equal(one.samples, other.samples)
        assert np.array_equal(one.speech, other.speech)
    assert whole.loudest_dbfs == cut.loudest_dbfs


def test_a_long_track_keeps_evenly_spread_windows_and_flat_memory() -> None:
    second = sound((1.0, 0.1))

    def hour() -> Iterator[Waveform]:
        for start in range(0, 3600, 10):
            yield Waveform(np.tile(second, 10), RATE_HZ, float(start))

    found = survey_speech(hour(), loud_is_speech)
    gaps = np.diff([w.start_seconds for w in found.windows])
    assert found.n_found == 2399
    assert MAX_WINDOWS / 2 <= len(found.windows) <= MAX_WINDOWS
    assert set(gaps) == {gaps[0]}
    assert sum(w.samples.nbytes for w in found.windows) <= MAX_WINDOWS * WINDOW_SAMPLES * 4


def test_a_pass_gives_every_window_of_a_long_track() -> None:
    ten_minutes = (Waveform(sound((10.0, 0.1)), RATE_HZ, 10.0 * k) for k in range(60))
    heard = SpeechPass(ten_minutes, loud_is_speech)
    starts = [window.start_seconds for window in heard]
    assert starts == [1.5 * k for k in range(399)]
    assert (heard.n_found, heard.sound_seconds) == (399, 600.0)


def test_windows_do_not_keep_the_track_alive() -> None:
    for window in survey(sound((20.0, 0.1))).windows:
        kept = window.samples if window.samples.base is None else window.samples.base
        assert kept.nbytes == WINDOW_SAMPLES * 4


def test_level_is_the_loudest_10_ms() -> None:
    assert survey(sound((1.0, 0.0))).loudest_dbfs < -150
    samples = np.zeros(2 * RATE_HZ, np.float32)
    samples[16_000:16_160] = 0.1
    assert survey(samples).loudest_dbfs == pytest.approx(-20.0, abs=0.01)


def test_samples_that_are_no_numbers_or_beyond_full_scale_do_no_harm() -> None:
    samples = sound((3.0, 0.1))
    samples[100], samples[200], samples[300] = np.nan, np.inf, 1e30
    (window,) = survey(samples).windows
    assert np.abs(window.samples).max() <= 1
    assert np.isfinite(window.levelled()).all()


def test_another_sampling_rate_is_an_error() -> None:
    with pytest.raises(ValueError, match="16000 Hz, got 8000 Hz"):
        survey_speech([Waveform(np.zeros(8000, np.float32), 8000)], loud_is_speech)


@pytest.mark.parametrize("level", [0.001, 0.02, 0.5])
def test_levelled_brings_speech_to_one_level_whatever_lies_between(level: float) -> None:
    samples = np.full(WINDOW_SAMPLES, 0.9, np.float32)
    samples[: WINDOW_SAMPLES // 2] = level
    speech = np.arange(WINDOW_FRAMES) < WINDOW_FRAMES // 2
    levelled = SpeechWindow(samples, speech, 0.0, 3.0).levelled()
    assert levelled[: WINDOW_SAMPLES // 2] == pytest.approx(SPEECH_RMS, rel=1e-5)
