"""Spectral statistics of a window of speech: linear-frequency cepstra (LFCC), their spread and how they move.

Few numbers with fixed meaning. Unlike learned speech features they know no words and no speakers, and on speech engines
and corpora that were not fitted on they hold better.
*Source:* Sahidullah et al. 2015, "A comparison of features for synthetic speech detection" (LFCC with deltas).
Differs from the source: no frame model; the statistics of each coefficient over the window are the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.fft import idct

FloatArray = NDArray[np.float64]
SAMPLE_RATE_HZ = 16_000
FFT_SAMPLES = 512
FRAME_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
N_FILTERS = 60
N_COEFFICIENTS = 40
DELTA_FRAMES = 5
FLOOR_DB = -80.0  # below the window's mean power: what lies there is quantisation or digital silence, not speech
AUTOCORRELATION_LAGS = (1, 3)
N_STATISTICS = N_COEFFICIENTS * (4 + len(AUTOCORRELATION_LAGS)) - 1  # without the mean of c0: that is the level
TELEPHONE_HZ = (300, 3400)
UPPER_BAND_HZ = (4400, 7600)
NARROW_BAND_DB = (
    -50.0
)  # upper band against telephone band: 8 kHz recordings lie below -54 dB, nearly all others above -45
_TINY = 1e-8


@dataclass(frozen=True, slots=True, repr=False)
class LfccTracks:
    """A window's LFCC and how they move; each (N_COEFFICIENTS, frames) float64."""

    cepstra: FloatArray
    delta: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, samples: NDArray[np.float32], n_frames: int) -> LfccTracks:
        """``samples``: (n,) float32 at 16 kHz; the first *n_frames* frames of 10 ms."""
        cepstra = lfcc(samples)[:, :n_frames]
        delta = librosa.feature.delta(cepstra, width=DELTA_FRAMES)
        return cls(cepstra, delta, librosa.feature.delta(cepstra, width=DELTA_FRAMES, order=2))

    def statistics(self, speech: NDArray[np.bool_]) -> FloatArray:
        """Statistics over the frames in *speech*, (frames,) bool, at least one true; (N_STATISTICS,) float64.

        In order: means of c1..c39, then for c0..c39 the standard deviation, that of the deltas, that of the second
        deltas, and the autocorrelation of the deltas at each of AUTOCORRELATION_LAGS. Raises ValueError without speech
        frames.
        """
        if not speech.any():
            raise ValueError("speech: no frame of the window is speech; such a window has no statistics")
        spreads = [track[:, speech].std(axis=1) for track in (self.cepstra, self.delta, self.second)]
        lags = [_autocorrelation(self.delta, speech, lag) for lag in AUTOCORRELATION_LAGS]
        return np.concatenate([self.cepstra[1:, speech].mean(axis=1), *spreads, *lags])


def lfcc_statistics(samples: NDArray[np.float32], speech: NDArray[np.bool_]) -> FloatArray:
    """``LfccTracks.statistics`` of *samples*; ``speech``: (n // 160,) bool, one per 10 ms."""
    return LfccTracks.of(samples, len(speech)).statistics(speech)


def upper_band_db(statistics: FloatArray) -> float:
    """Mean level of 4.4-7.6 kHz relative to the telephone band, dB, from ``lfcc_statistics``; see NARROW_BAND_DB."""
    cepstrum = np.zeros(N_FILTERS)
    cepstrum[1:N_COEFFICIENTS] = statistics[: N_COEFFICIENTS - 1]
    level_db = idct(cepstrum, norm="ortho")
    centres_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, N_FILTERS + 2)[1:-1]
    upper, telephone = (
        level_db[(centres_hz > low) & (centres_hz < high)].mean() for low, high in (UPPER_BAND_HZ, TELEPHONE_HZ)
    )
    return float(upper - telephone)


def lfcc(samples: NDArray[np.float32]) -> FloatArray:
    """Cepstra on linearly spaced filters over 0-8 kHz; (N_COEFFICIENTS, frames) float64, one frame per 10 ms."""
    spectrum = librosa.stft(
        samples.astype(np.float64), n_fft=FFT_SAMPLES, win_length=FRAME_SAMPLES, hop_length=HOP_SAMPLES
    )
    power = _linear_filters() @ (spectrum.real**2 + spectrum.imag**2)
    floor = max(float(power.mean()), _TINY) * 10 ** (FLOOR_DB / 10)
    log_power = 10 * np.log10(np.maximum(power, floor))
    cepstra: FloatArray = librosa.feature.mfcc(S=log_power, n_mfcc=N_COEFFICIENTS, dct_type=2, norm="ortho")
    return cepstra


def _autocorrelation(track: FloatArray, speech: NDArray[np.bool_], lag: int) -> FloatArray:
    both = speech[:-lag] & speech[lag:]
    if not both.any():
        return np.zeros(len(track))
    centred = track - track[:, speech].mean(axis=1, keepdims=True)
    product = (centred[:, :-lag][:, both] * centred[:, lag:][:, both]).mean(axis=1)
    return np.asarray(product / (centred[:, speech].var(axis=1) + _TINY))


@cache
def _linear_filters() -> FloatArray:
    """Triangles with equal spacing from 0 to 8 kHz; (N_FILTERS, FFT_SAMPLES // 2 + 1)."""
    bins_hz = librosa.fft_frequencies(sr=SAMPLE_RATE_HZ, n_fft=FFT_SAMPLES)
    edges_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, N_FILTERS + 2)
    rising = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    falling = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
