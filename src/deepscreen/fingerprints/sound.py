"""A fingerprint of sound that survives lossy coding: in what direction the balance of neighbouring bands moves.

*Source:* Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002), section 4. Differs from the
source in a step of 23 ms instead of 12 ms, in that what hardly moves does not count, and in that whole recordings are
compared. Measured on 38 recordings of speech of 3 s: at most 9 % of bits differ after MP3 at 32 kbit/s, at least 38 %
between two recordings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8_000
LONGEST_SECONDS = 60.0
FRAME_SAMPLES, STEP_SAMPLES = 2_960, 185  # 0.37 s, 23 ms
BANDS, LOWEST_HZ, HIGHEST_HZ = 33, 300.0, 2_000.0
# A band counts where its change is more than this share of the frame's energy; the rest is noise of coders.
LEAST_CHANGE = 1e-4
# Shorter, quieter or more monotonous sound has nothing of its own to be told by.
MIN_WORDS, MIN_RMS, MIN_DISTINCT = 64, 1e-3, 32
# Share of differing bits below which two recordings are one (the source's 0.35 is for 3 s; here whole recordings), and
# share of the bits that count in either which must count in both.
MAX_BIT_ERRORS, MIN_COMMON = 0.25, 0.5
MAX_SHIFT_WORDS = 43  # one second: what coders and cuts put before the sound
# (n, 2) uint32: in which bands the balance moves up, and in which it moves enough to count. One row for each 23 ms.
Words = NDArray[np.uint32]


def sound_words(samples: NDArray[np.float32]) -> Words | None:
    """The fingerprint of mono sound at 8 kHz; None where there is too little to tell it by."""
    if len(samples) < FRAME_SAMPLES or float(np.sqrt(np.mean(np.square(samples)))) < MIN_RMS:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::STEP_SAMPLES]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES).astype(np.float32), axis=1)) ** 2
    edges_hz = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)
    edges = np.round(edges_hz * FRAME_SAMPLES / SAMPLE_RATE_HZ).astype(int)
    energies = np.add.reduceat(spectrum[:, : edges[-1]], edges[:-1], axis=1)
    change = np.diff(np.diff(energies, axis=1), axis=0)
    least = LEAST_CHANGE * energies.sum(axis=1)[1:, None]
    words = np.stack([_packed(change > least), _packed(np.abs(change) > least)], axis=1)
    return words if len(words) >= MIN_WORDS and len(telling(words)) >= MIN_DISTINCT else None


def words_of(content: bytes) -> Words:
    """The fingerprint from its bytes, as they are kept."""
    return np.frombuffer(content, np.uint32).reshape(-1, 2)


def telling(words: Words) -> NDArray[np.uint32]:
    """The different words of a recording in which enough moves that they tell it from others, in order."""
    ups = np.unique(words[:, 0])
    return ups[np.bitwise_count(ups) >= BANDS // 4]


def bit_errors(one: Words, other: Words) -> float:
    """Share of differing bits, 0 to 1, where the two fit best; 1.0 where they have too little in common."""
    best = 1.0
    for shift in range(-MAX_SHIFT_WORDS, MAX_SHIFT_WORDS + 1):
        first, second = (one[shift:], other) if shift >= 0 else (one, other[-shift:])
        length = min(len(first), len(second))
        if length >= MIN_WORDS:
            best = min(best, _errors_at(first[:length], second[:length]))
    return best


def _errors_at(one: Words, other: Words) -> float:
    both = one[:, 1] & other[:, 1]
    common = int(np.bitwise_count(both).sum())
    if common < MIN_COMMON * max(int(np.bitwise_count(words[:, 1]).sum()) for words in (one, other)) or common == 0:
        return 1.0
    return int(np.bitwise_count((one[:, 0] ^ other[:, 0]) & both).sum()) / common


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.packbits(bits, axis=1).view(">u4").astype(np.uint32)[:, 0]
