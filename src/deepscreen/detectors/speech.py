"""The speech gate: which windows of a sound track hold speech, found in one pass with flat memory.

Windows lie on a fixed grid of 3 s with half overlap. A window counts when the voice activity detector finds at least
half a second of speech in it, and carries a mask, so that statistics are taken over speech only and zeros that fill a
short recording are never looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from deepscreen.detectors.nets.silero import SileroVad
from deepscreen.media.samples import Waveform

SAMPLE_RATE_HZ = 16_000
WINDOW_SECONDS = 3.0
WINDOW_SAMPLES = 48_000
HOP_SAMPLES = 24_000
FRAME_SAMPLES = 160  # 10 ms, the unit of the mask
WINDOW_FRAMES = WINDOW_SAMPLES // FRAME_SAMPLES
CHUNK_SAMPLES = 512  # the unit of the voice activity detector
# The detector is fed in pieces of one size: its last bits then do not depend on how the sound track was cut in blocks.
PIECE_SAMPLES = 512 * CHUNK_SAMPLES
SPEECH_THRESHOLD = 0.5
MARGIN_FRAMES = 10  # onsets and releases belong to the speech
MIN_SPEECH_SECONDS = 0.5
MIN_SPEECH_FRAMES = 50
MAX_WINDOWS = 120
SPEECH_RMS = 0.05  # -26 dBFS: every window is brought to this level over its speech, so that level says nothing
SILENCE_DBFS = -60.0
_TINY = 1e-10

Samples = NDArray[np.float32]
# Speech probability of each 512-sample chunk of the next piece of one sound track; keeps its state between calls.
VoiceActivity = Callable[[Samples], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, repr=False)
class SpeechWindow:
    """Three seconds with speech in them, from ``start_seconds``; zeros where the recording ends earlier.

    ``samples``: (48000,) float32, as recorded. ``speech``: (300,) bool, one per 10 ms, never true beyond the recording.
    """

    samples: Samples
    speech: NDArray[np.bool_]
    start_seconds: float
    end_seconds: float  # of the recording within this window

    @property
    def speech_seconds(self) -> float:
        """Speech in this window, margins counted."""
        return int(self.speech.sum()) * FRAME_SAMPLES / SAMPLE_RATE_HZ

    @property
    def recorded(self) -> Samples:
        """The samples as recorded, without the zeros that fill a short recording."""
        return self.samples[: round((self.end_seconds - self.start_seconds) * SAMPLE_RATE_HZ)]

    def levelled(self) -> Samples:
        """The samples at the common speech level: RMS 0.05 over the speech frames."""
        frames = self.samples.reshape(WINDOW_FRAMES, FRAME_SAMPLES)[self.speech]
        rms = math.sqrt(float(np.mean(np.square(frames, dtype=np.float64))))
        return (self.samples * (SPEECH_RMS / max(rms, _TINY))).astype(np.float32)


class Heard(Protocol):
    """What was found out about a sound track."""

    @property
    def n_found(self) -> int:
        """Windows with speech."""

    @property
    def sound_seconds(self) -> float:
        """How long the track is."""

    @property
    def loudest_dbfs(self) -> float:
        """Level of the loudest 10 ms."""


@dataclass(frozen=True, slots=True)
class SpeechSurvey:
    """A part of the windows with speech of a track: at most MAX_WINDOWS, evenly spread, in order of time."""

    windows: tuple[SpeechWindow, ...]
    n_found: int  # before thinning
    sound_seconds: float
    loudest_dbfs: float


class StreamedVad:
    """Silero VAD over one sound track, piece after piece: a ``VoiceActivity``."""

    def __init__(self, network: SileroVad) -> None:
        self._network = network
        self._state = network.initial_state()

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        probabilities, self._state = self._network.continue_from(self._state, torch.from_numpy(samples))
        return np.asarray(probabilities.numpy(), np.float32)


class SpeechPass:
    """One pass over a sound track that gives every window with speech, in order; a ``Heard`` of what has passed by.

    ``blocks``: consecutive mono 16 kHz blocks of any lengths; the lengths do not change the result.
    """

    def __init__(self, blocks: Iterable[Waveform], voice_activity: VoiceActivity) -> None:
        self.n_found = 0
        self._meter = _Meter()
        self._windows = _grid_windows(_metered(_pieces(blocks), self._meter), voice_activity)

    @property
    def sound_seconds(self) -> float:
        return self._meter.n_samples / SAMPLE_RATE_HZ

    @property
    def loudest_dbfs(self) -> float:
        return self._meter.loudest_dbfs

    def __iter__(self) -> Iterator[SpeechWindow]:
        for window in self._windows:
            if window is not None:
                self.n_found += 1
                yield window


def survey_speech(blocks: Iterable[Waveform], voice_activity: VoiceActivity) -> SpeechSurvey:
    """One pass that keeps at most MAX_WINDOWS windows, for what cannot afford all of a long track.

    Beyond MAX_WINDOWS every second window is dropped, and again when it is full: 60 to 120 evenly spread ones remain.
    """
    heard = SpeechPass(blocks, voice_activity)
    spread = _EvenSpread(MAX_WINDOWS)
    for window in heard:
        spread.offer(window)
    return SpeechSurvey(tuple(spread.kept), heard.n_found, heard.sound_seconds, heard.loudest_dbfs)


class _Meter:
    """Length and loudest 10 ms of what passed by."""

    def __init__(self) -> None:
        self.n_samples = 0
        self.loudest_rms = 0.0

    @property
    def loudest_dbfs(self) -> float:
        return 20 * math.log10(max(self.loudest_rms, _TINY))

    def read(self, piece: Samples) -> None:
        self.n_samples += len(piece)
        whole = piece[: len(piece) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        if len(whole):
            power = np.mean(np.square(whole, dtype=np.float64), axis=1)
            self.loudest_rms = max(self.loudest_rms, math.sqrt(float(power.max())))


class _EvenSpread:
    """Keeps every 2^k-th of what is offered, k as small as the limit allows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stride = 1
        self._n_offered = 0
        self.kept: list[SpeechWindow] = []

    def offer(self, window: SpeechWindow) -> None:
        if self._n_offered % self._stride == 0:
            if len(self.kept) == self._limit:
                self.kept = self.kept[::2]
                self._stride *= 2
            if self._n_offered % self._stride == 0:
                self.kept.append(window)
        self._n_offered += 1


def _metered(pieces: Iterator[Samples], meter: _Meter) -> Iterator[Samples]:
    for piece in pieces:
        meter.read(piece)
        yield piece


def _pieces(blocks: Iterable[Waveform]) -> Iterator[Samples]:
    """The track again, finite and in [-1, 1], cut into pieces of PIECE_SAMPLES; the last one is shorter."""
    held: list[Samples] = []
    n_held = 0
    for block in blocks:
        if block.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"blocks: want {SAMPLE_RATE_HZ} Hz, got {block.sample_rate_hz} Hz")
        held.append(np.clip(np.nan_to_num(block.samples), -1, 1))  # a float WAV may hold anything
        n_held += len(block.samples)
        if n_held >= PIECE_SAMPLES:
            joined = np.concatenate(held)
            whole = n_held // PIECE_SAMPLES * PIECE_SAMPLES
            yield from (joined[start : start + PIECE_SAMPLES] for start in range(0, whole, PIECE_SAMPLES))
            held, n_held = [joined[whole:].copy()], n_held - whole
    if n_held:
        yield np.concatenate(held)


def _grid_windows(pieces: Iterator[Samples], voice_activity: VoiceActivity) -> Iterator[SpeechWindow | None]:
    """Windows at 0, 1.5, 3, ... s until one reaches the end of the track; None for one without enough speech."""
    samples = np.zeros(0, np.float32)
    activity = np.zeros(0, np.bool_)  # one per chunk, from the chunk that `start` lies in
    start = 0  # of `samples`, in the track
    for piece in pieces:
        samples = np.concatenate([samples, piece])
        activity = np.concatenate([activity, voice_activity(_whole_chunks(piece)) >= SPEECH_THRESHOLD])
        while len(samples) > WINDOW_SAMPLES:  # not when equal: the last window is made below
            yield _window(samples[:WINDOW_SAMPLES], activity, start)
            samples, activity, start = _advance(samples, activity, start)
    if len(samples):
        yield _window(samples, activity, start)


def _advance(samples: Samples, activity: NDArray[np.bool_], start: int) -> tuple[Samples, NDArray[np.bool_], int]:
    after = start + HOP_SAMPLES
    gone_chunks = after // CHUNK_SAMPLES - start // CHUNK_SAMPLES
    return samples[HOP_SAMPLES:], activity[gone_chunks:], after


def _whole_chunks(piece: Samples) -> Samples:
    return np.pad(piece, (0, -len(piece) % CHUNK_SAMPLES))


def _window(samples: Samples, activity: NDArray[np.bool_], start: int) -> SpeechWindow | None:
    n_frames = len(samples) // FRAME_SAMPLES
    centres = start % CHUNK_SAMPLES + FRAME_SAMPLES // 2 + FRAME_SAMPLES * np.arange(n_frames)
    active = activity[centres // CHUNK_SAMPLES]
    if int(active.sum()) < MIN_SPEECH_FRAMES:
        return None
    speech = np.zeros(WINDOW_FRAMES, np.bool_)
    speech[:n_frames] = np.convolve(active, np.ones(2 * MARGIN_FRAMES + 1), mode="same")[:n_frames] > 0.5
    padded = np.pad(samples, (0, WINDOW_SAMPLES - len(samples)))
    end = start + len(samples)
    return SpeechWindow(padded, speech, start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ)
