"""Laundering of sound: it changes what it says it changes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.training import launder_audio
from deepscreen.training.launder_audio import Step, clip_seed, launder

RATE_HZ = 16_000
TRANSPORTS = (
    launder_audio.limit_band,
    launder_audio.limit_to_4khz,
    launder_audio.through_mu_law,
    launder_audio.through_gsm,
    launder_audio.through_mp3,
    launder_audio.through_opus,
    launder_audio.through_aac,
)
TELEPHONE = (launder_audio.limit_to_4khz, launder_audio.through_mu_law, launder_audio.through_gsm)


def chirps(seconds: float = 1.5) -> NDArray[np.float32]:
    """Slow sweeps at 300 Hz and at 5.5 kHz: something to hear in both bands."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    low, high = np.sin(2 * np.pi * (300 + 200 * t) * t), np.sin(2 * np.pi * (5500 + 100 * t) * t)
    return (0.3 * low + 0.1 * high).astype(np.float32)


def power(samples: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda step: step.__name__)
def test_a_transport_keeps_the_voice_band_audible(transport: Step) -> None:
    before, after = chirps(), transport(chirps(), np.random.default_rng(0))
    assert after.dtype == np.float32
    assert power(after[: len(before)], 250, 1200) == pytest.approx(power(before, 250, 1200), rel=0.35)


@pytest.mark.parametrize("transport", TELEPHONE, ids=lambda step: step.__name__)
def test_a_telephone_takes_away_the_upper_band(transport: Step) -> None:
    after = transport(chirps(), np.random.default_rng(0))[: len(chirps())]
    assert power(after, 5000, 7000) < 1e-3 * power(chirps(), 5000, 7000)


@pytest.mark.parametrize("seed", range(12))
def test_laundering_keeps_length_and_range_and_repeats_with_its_seed(seed: int) -> None:
    first = launder(chirps(), seed)
    assert first.shape == chirps().shape
    assert np.abs(first).max() <= 1
    assert np.array_equal(first, launder(chirps(), seed))


def test_seeds_differ_by_clip_copy_and_seed_and_never_by_order() -> None:
    seeds = {clip_seed(name, copy, seed) for name in "ab" for copy in (1, 2) for seed in (0, 1)}
    assert len(seeds) == 8
    assert clip_seed("a", 1, 0) == clip_seed("a", 1, 0)


def test_noise_lies_between_12_and_40_db_below_the_sound() -> None:
    for seed in range(8):
        added = launder_audio.add_noise(chirps(), np.random.default_rng(seed)) - chirps()
        snr_db = 10 * np.log10(np.mean(chirps() ** 2) / np.mean(added**2))
        assert 11.5 <= snr_db <= 40.5


def test_silence_survives_laundering() -> None:
    for seed in range(6):
        assert np.isfinite(launder(np.zeros(RATE_HZ, np.float32), seed)).all()
