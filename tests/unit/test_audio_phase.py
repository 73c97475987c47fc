"""Phase statistics: they tell a steady tone from noise, and know neither level nor what is not speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.phase import N_BANDS, N_PHASE_STATISTICS, phase_statistics

N_SAMPLES, N_FRAMES = 48_000, 300
ALL_SPEECH = np.ones(N_FRAMES, np.bool_)


def noise(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(N_SAMPLES).astype(np.float32) * 0.1


def tone(hz: float) -> NDArray[np.float32]:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(N_SAMPLES) / 16_000)).astype(np.float32)


def test_there_is_a_finite_number_for_each_statistic() -> None:
    for samples in (noise(), tone(440), np.zeros(N_SAMPLES, np.float32)):
        statistics = phase_statistics(samples, ALL_SPEECH)
        assert statistics.shape == (N_PHASE_STATISTICS,)
        assert np.isfinite(statistics).all()


def test_the_phase_of_a_steady_tone_is_predictable_along_time_and_that_of_noise_is_not() -> None:
    of_tone, of_noise = (phase_statistics(samples, ALL_SPEECH)[1] for samples in (tone(440), noise()))
    assert of_tone > 0.95  # lowest band, weighted by amplitude
    assert of_noise < 0.5


def test_a_tone_is_found_in_its_own_band() -> None:
    along_time = phase_statistics(tone(5250) + 0.1 * noise(), ALL_SPEECH)[: 4 * N_BANDS].reshape(N_BANDS, 4)
    assert int(along_time[:, 1].argmax()) == 10  # of bands 500 Hz wide


def test_level_says_nothing() -> None:
    assert np.allclose(phase_statistics(noise() / 8, ALL_SPEECH), phase_statistics(noise(), ALL_SPEECH), atol=1e-6)


def test_frames_that_are_no_speech_are_not_looked_at() -> None:
    speech = np.arange(N_FRAMES) < 150
    other = noise()
    other[155 * 160 :] = tone(300)[155 * 160 :]
    assert np.allclose(phase_statistics(other, speech), phase_statistics(noise(), speech), atol=1e-9)


def test_a_window_with_hardly_any_speech_is_read_whole() -> None:
    speech = np.arange(N_FRAMES) < 5
    assert np.array_equal(phase_statistics(noise(), speech), phase_statistics(noise(), ALL_SPEECH))
