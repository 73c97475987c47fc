"""Spectral statistics: what they measure, on sounds whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from deepscreen.detectors.spectral import (
    N_COEFFICIENTS,
    N_STATISTICS,
    NARROW_BAND_DB,
    lfcc,
    lfcc_statistics,
    upper_band_db,
)

RATE_HZ = 16_000
ALL_SPEECH = np.ones(300, np.bool_)


def noise(seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(3 * RATE_HZ) * 0.1).astype(np.float32)


def test_statistics_have_the_stated_length_and_are_finite_for_noise_and_for_zeros() -> None:
    for samples in (noise(), np.zeros(3 * RATE_HZ, np.float32)):
        statistics = lfcc_statistics(samples, ALL_SPEECH)
        assert statistics.shape == (N_STATISTICS,)
        assert np.isfinite(statistics).all()


def test_statistics_do_not_change_when_the_level_does() -> None:
    quiet = lfcc_statistics(noise() / 64, ALL_SPEECH)
    assert np.allclose(quiet, lfcc_statistics(noise(), ALL_SPEECH), atol=1e-6)


def test_statistics_change_when_the_sound_does() -> None:
    rng = np.random.default_rng(1)
    modulated = noise() * (rng.random(300) < 0.5).repeat(160).astype(np.float32)
    difference = lfcc_statistics(modulated, ALL_SPEECH) - lfcc_statistics(noise(), ALL_SPEECH)
    assert difference[N_COEFFICIENTS - 1] > 10  # the standard deviation of c0: how much the level moves


def test_what_lies_outside_the_mask_does_not_count() -> None:
    speech = ALL_SPEECH.copy()
    speech[150:] = False
    other = noise()
    other[26_000:] = 0.9 * np.sin(np.arange(len(other) - 26_000)).astype(np.float32)
    # The floor is relative to the window's mean power; the noise is far above it in both.
    assert np.allclose(lfcc_statistics(noise(), speech), lfcc_statistics(other, speech), atol=1e-6)


def test_no_speech_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frame"):
        lfcc_statistics(noise(), np.zeros(300, np.bool_))


def test_cepstra_have_one_frame_per_10_ms() -> None:
    assert lfcc(noise()).shape == (N_COEFFICIENTS, 301)


def test_upper_band_tells_telephone_sound_from_full_band_sound() -> None:
    narrow = sosfilt(butter(12, 3600, fs=RATE_HZ, output="sos"), noise()).astype(np.float32)
    assert upper_band_db(lfcc_statistics(narrow, ALL_SPEECH)) < NARROW_BAND_DB
    assert abs(upper_band_db(lfcc_statistics(noise(), ALL_SPEECH))) < 3  # white: the same level everywhere
