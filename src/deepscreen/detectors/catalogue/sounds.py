"""A catalogue's classifier of sound: windows of the track, each with a logit of its own. Silence is not scored.

It is not asked whether the sound is speech: what a checkpoint makes of music is for its own card to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.catalogue.checkpoint import SpoofClassifier
from deepscreen.detectors.catalogue.rows import (
    MIN_SOUND_SECONDS,
    SAMPLE_RATE_HZ,
    SpectrogramPreprocessing,
    SpectrogramRow,
    WavePreprocessing,
    WaveRow,
)
from deepscreen.detectors.contract import (
    LOGIT_DECIMALS,
    DetectorCard,
    Reading,
    Sample,
    Scored,
    SoundSample,
    TimelinePoint,
)
from deepscreen.detectors.speech import SILENCE_DBFS
from deepscreen.media.samples import Waveform

MAX_WINDOWS = 120
LEVEL_SAMPLES = 160  # 10 ms
FFT_SAMPLES, FRAME_SAMPLES, HOP_SAMPLES = 512, 400, 160
LOWEST_HZ, PREEMPHASIS = 20.0, 0.97
MEL_FLOOR = 1.192092955078125e-07  # float32's epsilon, as in Kaldi
VARIANCE_FLOOR = 1e-7
TIME_DECIMALS = 3
Samples = NDArray[np.float32]
Features = Callable[[Samples], Tensor]


@dataclass(frozen=True, slots=True, repr=False)
class SoundWindow:
    """A stretch of the track at 16 kHz, from sample ``start`` of it."""

    samples: Samples
    start: int


class SoundPlugin:
    """A classifier of sound. ``features`` turns a window's samples into what the network reads."""

    def __init__(self, row: WaveRow | SpectrogramRow, classifier: SpoofClassifier, features: Features) -> None:
        self._card, self._window_samples = row.card, row.preprocessing.window_samples
        self._classifier, self._features = classifier, features

    @property
    def card(self) -> DetectorCard:
        return self._card

    def score(self, sample: Sample) -> Scored | NotScored:
        """The mean over the windows that are not silent, and a timeline of them; of a long track at most 120."""
        if not isinstance(sample, SoundSample):
            return NotScored(self._card.name, Absence.NOT_APPLICABLE, "reads sound only")
        windows = evenly_spread(sound_windows(sample.blocks, self._window_samples), MAX_WINDOWS)
        seconds = max((w.start + len(w.samples) for w in windows), default=0) / SAMPLE_RATE_HZ
        if seconds < MIN_SOUND_SECONDS:
            detail = f"{seconds:.2f} s of sound; at least {MIN_SOUND_SECONDS} s are needed"
            return NotScored(self._card.name, Absence.TOO_SHORT, detail)
        heard = [window for window in windows if _loudest_dbfs(window.samples) >= SILENCE_DBFS]
        if not heard:
            detail = f"no 10 ms of the sound reach {SILENCE_DBFS:.0f} dBFS"
            return NotScored(self._card.name, Absence.SILENT, detail)
        return self._score_windows(heard)

    def _score_windows(self, windows: list[SoundWindow]) -> Scored:
        logits = [self._classifier.spoof_logit(self._features(window.samples)) for window in windows]
        reading = Reading(self._card.name, float(np.mean(logits)), n_samples=len(windows))
        return Scored(reading, timeline=tuple(map(_point, windows, logits)))


def sound_windows(blocks: Iterable[Waveform], n_samples: int) -> Iterator[SoundWindow]:
    """Windows of *n_samples*, one after the other; the last one ends with the track, so it may reach back.

    A track that is shorter is one window, not filled up. How it was cut into blocks changes nothing.
    """
    before = held = np.zeros(0, np.float32)
    start = 0  # of `held`, in the track
    for block in blocks:
        if block.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"blocks: want {SAMPLE_RATE_HZ} Hz, got {block.sample_rate_hz} Hz")
        # A float WAV may hold anything.
        held = np.concatenate([held, np.clip(np.nan_to_num(block.samples), -1, 1)])
        while len(held) >= n_samples:
            yield SoundWindow(held[:n_samples].copy(), start)
            before, held, start = held[:n_samples].copy(), held[n_samples:], start + n_samples
    if len(held):
        tail = np.concatenate([before, held])[-n_samples:]
        yield SoundWindow(tail, start + len(held) - len(tail))


def evenly_spread(windows: Iterable[SoundWindow], limit: int) -> list[SoundWindow]:
    """Every 2^k-th window, k as small as the limit allows; what is dropped is never held."""
    kept: list[SoundWindow] = []
    stride = 1
    for k, window in enumerate(windows):
        if k % stride == 0 and len(kept) == limit:
            kept, stride = kept[::2], 2 * stride
        if k % stride == 0:
            kept.append(window)
    return kept


def wave_features(p: WavePreprocessing) -> Features:
    """Samples as they are, or at zero mean and unit variance."""

    def features(samples: Samples) -> Tensor:
        if not p.normalise:
            return torch.from_numpy(samples)
        return torch.from_numpy((samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_FLOOR))

    return features


def spectrogram_features(p: SpectrogramPreprocessing, config: Any) -> Features:
    """(max_length, mels) float32: log-mel filter banks, zeros after the end of a short window, then scaled.

    Source: ASTFeatureExtractor of transformers (Apache-2.0) without torchaudio. The numbers then do not depend on
    whether torchaudio is installed.
    """
    mels, max_length = config.num_mel_bins, config.max_length
    filters = mel_filter_bank(
        num_frequency_bins=FFT_SAMPLES // 2 + 1, num_mel_filters=mels, min_frequency=LOWEST_HZ,
        max_frequency=SAMPLE_RATE_HZ // 2, sampling_rate=SAMPLE_RATE_HZ, norm=None, mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )  # fmt: skip
    taper = window_function(FRAME_SAMPLES, "hann", periodic=False)

    def features(samples: Samples) -> Tensor:
        bank = spectrogram(
            samples, taper, frame_length=FRAME_SAMPLES, hop_length=HOP_SAMPLES, fft_length=FFT_SAMPLES, power=2.0,
            center=False, preemphasis=PREEMPHASIS, mel_filters=filters, log_mel="log", mel_floor=MEL_FLOOR,
            remove_dc_offset=True,
        ).T[:max_length]  # fmt: skip
        filled = np.zeros((max_length, mels), np.float32)
        filled[: len(bank)] = bank
        return torch.from_numpy((filled - np.float32(p.mean)) / np.float32(2 * p.std))

    return features


def _loudest_dbfs(samples: Samples) -> float:
    whole = samples[: len(samples) // LEVEL_SAMPLES * LEVEL_SAMPLES].reshape(-1, LEVEL_SAMPLES)
    power = np.mean(np.square(whole, dtype=np.float64), axis=1).max(initial=0.0)
    return 10 * math.log10(max(float(power), 1e-20))


def _point(window: SoundWindow, logit: float) -> TimelinePoint:
    end = window.start + len(window.samples)
    start_seconds, end_seconds = (round(at / SAMPLE_RATE_HZ, TIME_DECIMALS) for at in (window.start, end))
    return TimelinePoint(start_seconds, end_seconds, round(logit, LOGIT_DECIMALS))
