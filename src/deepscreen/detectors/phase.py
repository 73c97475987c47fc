"""Phase statistics of a window of speech: how predictable the phase of a spectrogram is along time and frequency.

A vocoder writes phase by a rule or a network, a microphone records it: second differences of phase are spread another
way. Few numbers with fixed meaning, which say nothing of words and speakers.
*Source:* in the spirit of Saratxaga et al. 2016, "Synthetic speech detection using phase information" (relative phase
shift); differs from it in using second differences of the spectrogram's phase and their circular moments by band.
"""

from __future__ import annotations

from itertools import pairwise

import librosa
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Complex = NDArray[np.complex128]
FFT_SAMPLES = 512
HOP_SAMPLES = 160  # 10 ms: one frame per entry of the speech mask
N_BANDS = 16
MIN_FRAMES = 20
N_PHASE_STATISTICS = 3 * N_BANDS * 4
_TINY = 1e-9


def phase_statistics(samples: NDArray[np.float32], speech: NDArray[np.bool_]) -> FloatArray:
    """Circular moments of second phase differences over the speech frames of a window; (N_PHASE_STATISTICS,) float64.

    ``samples``: (n,) float32 at 16 kHz. ``speech``: (n // 160,) bool, one per 10 ms. Along time, along frequency, and
    across both; for each of 16 bands from 0 to 8 kHz: length of the mean direction, that weighted by amplitude, that
    of twice the angle, the mean cosine. A window with fewer than 20 frames of speech is read whole.
    """
    spectrum = librosa.stft(
        samples.astype(np.float64), n_fft=FFT_SAMPLES, hop_length=HOP_SAMPLES, win_length=FFT_SAMPLES
    )[1:]
    frames = speech[np.minimum(np.arange(spectrum.shape[1]), len(speech) - 1)]
    if frames.sum() < MIN_FRAMES:
        frames = np.ones_like(frames)
    amplitude, phase = np.abs(spectrum), np.angle(spectrum)
    along_time = _wrapped(phase[:, 2:] - 2 * phase[:, 1:-1] + phase[:, :-2])
    delay = np.angle(spectrum[1:] * np.conj(spectrum[:-1]))
    along_frequency, across = _wrapped(np.diff(delay, axis=0)), _wrapped(np.diff(delay, axis=1))
    return np.concatenate(
        [
            _moments(along_time, amplitude[:, 1:-1], frames[2:] & frames[1:-1] & frames[:-2]),
            _moments(along_frequency, amplitude[1:-1], frames),
            _moments(across, amplitude[1:, 1:], frames[1:] & frames[:-1]),
        ]
    )


def _wrapped(angles: FloatArray) -> FloatArray:
    return np.asarray(np.angle(np.exp(1j * angles)))


def _moments(angles: FloatArray, weights: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    angles, weights = angles[:, kept], weights[:, kept]
    edges = np.linspace(0, len(angles), N_BANDS + 1).astype(int)
    moments = []
    for low, high in pairwise(edges):
        turn, weight = np.exp(1j * angles[low:high]), weights[low:high]
        mean = turn.mean()
        weighted = np.abs((turn * weight).sum() / (weight.sum() + _TINY))
        moments += [np.abs(mean), weighted, np.abs((turn * turn).mean()), mean.real]
    return np.nan_to_num(np.array(moments, np.float64))
