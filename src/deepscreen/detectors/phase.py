"""Phase statistics of a window of speech: how predictable the phase of a spectrogram is along time and frequency.

A vocoder writes phase by a rule or a network, a microphone records it: second differences of phase are spread another
way. Few numbers with fixed meaning, which say nothing of words and speakers.
*Source:* in the spirit of Saratxaga et al. 2016, "Synthetic speech detection using phase information" (relative phase
shift); differs from it in using second differences of the spectrogram's phase and their circular moments by band.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, repr=False)
class PhaseTracks:
    """Second phase differences of a window's spectrogram: along time, along frequency, and across both."""

    directions: tuple[_Turns, ...]

    @classmethod
    def of(cls, samples: NDArray[np.float32]) -> PhaseTracks:
        """``samples``: (n,) float32 at 16 kHz."""
        spectrum = librosa.stft(
            samples.astype(np.float64), n_fft=FFT_SAMPLES, hop_length=HOP_SAMPLES, win_length=FFT_SAMPLES
        )[1:]
        amplitude, phase = np.abs(spectrum), np.angle(spectrum)
        delay = np.angle(spectrum[1:] * np.conj(spectrum[:-1]))
        return cls(
            (
                _Turns.of(phase[:, 2:] - 2 * phase[:, 1:-1] + phase[:, :-2], amplitude[:, 1:-1], span=3),
                _Turns.of(np.diff(delay, axis=0), amplitude[1:-1], span=1),
                _Turns.of(np.diff(delay, axis=1), amplitude[1:, 1:], span=2),
            )
        )

    def statistics(self, speech: NDArray[np.bool_]) -> FloatArray:
        """Circular moments over the frames in *speech*; (N_PHASE_STATISTICS,) float64.

        ``speech``: (n // 160,) bool, one per 10 ms. For each direction and each of 16 bands from 0 to 8 kHz: length of
        the mean direction, that weighted by amplitude, that of twice the angle, the mean cosine. With fewer than 20
        frames of speech the window is read whole.
        """
        n_frames = self.directions[1].turn.shape[1]
        frames = speech[np.minimum(np.arange(n_frames), len(speech) - 1)]
        if frames.sum() < MIN_FRAMES:
            frames = np.ones_like(frames)
        return np.concatenate([turns.moments(frames) for turns in self.directions])


@dataclass(frozen=True, slots=True, repr=False)
class _Turns:
    """Phase differences as unit vectors, (bins, frames), each of *span* frames that follow each other."""

    turn: Complex
    weighted: Complex
    doubled: Complex
    weights: FloatArray
    span: int

    @classmethod
    def of(cls, angles: FloatArray, weights: FloatArray, *, span: int) -> _Turns:
        turn = np.exp(1j * angles)
        return cls(turn, turn * weights, turn * turn, weights, span)

    def moments(self, frames: NDArray[np.bool_]) -> FloatArray:
        """Of the differences whose frames are all in *frames*."""
        kept = np.lib.stride_tricks.sliding_window_view(frames, self.span).all(axis=1).astype(np.float64)
        edges = np.linspace(0, len(self.turn), N_BANDS + 1).astype(int)
        counts = np.maximum(np.diff(edges) * kept.sum(), 1)
        mean, weighted, doubled, weights = (
            np.add.reduceat(values @ kept, edges[:-1])
            for values in (self.turn, self.weighted, self.doubled, self.weights)
        )
        moments = (
            np.abs(mean) / counts,
            np.abs(weighted) / (weights + _TINY),
            np.abs(doubled) / counts,
            mean.real / counts,
        )
        return np.stack(moments, axis=1).ravel()


def phase_statistics(samples: NDArray[np.float32], speech: NDArray[np.bool_]) -> FloatArray:
    """``PhaseTracks.statistics`` of *samples*."""
    return PhaseTracks.of(samples).statistics(speech)
