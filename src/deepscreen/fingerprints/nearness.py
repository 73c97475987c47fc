"""Which of many fingerprints are near one, by the same distances as ``grouping`` joins groups by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepscreen.fingerprints.grouping import MIN_FRAMES, MIN_SHARED_FRAMES, MIN_SHARED_WORDS
from deepscreen.fingerprints.kinds import HASH_BYTES, PICTURE, SOUND
from deepscreen.fingerprints.near import Hashes, hashes_of
from deepscreen.fingerprints.pdq import MAX_DISTANCE
from deepscreen.fingerprints.sound import MAX_BIT_ERRORS, bit_errors, telling, words_of

WORDS = HASH_BYTES // 8


def near(kind: str, one: bytes, others: Sequence[bytes]) -> list[int]:
    """The positions of those *others* that are copies of *one*; all are of one *kind* ("image", "video", "audio").

    Fingerprints are as ``gathering`` gives them. Ten thousand pictures take 7 ms, as many clips 0.1 s, 300 recordings
    of a minute 0.3 s, or 1.7 s where all share words.
    """
    if not one or not others:
        return []
    if kind == SOUND:
        return _near_sounds(one, others)
    return _near_pictures(one, others) if kind == PICTURE else _near_clips(one, others)


def _near_pictures(one: bytes, others: Sequence[bytes]) -> list[int]:
    found = [position for position, other in enumerate(others) if len(other) == HASH_BYTES]
    distances = _distances(hashes_of(one), hashes_of(b"".join(others[position] for position in found)))
    return [
        position for position, distance in zip(found, distances.min(axis=0), strict=True) if distance <= MAX_DISTANCE
    ]


def _near_clips(one: bytes, others: Sequence[bytes]) -> list[int]:
    """Most frames of the shorter one must each be near one of the other."""
    are_near = _distances(hashes_of(one), hashes_of(b"".join(others))) <= MAX_DISTANCE
    found, start = [], 0
    for position, other in enumerate(others):
        end = start + len(other) // HASH_BYTES
        pairs, start = are_near[:, start:end], end
        shorter = min(pairs.shape)
        shared = int(pairs.any(axis=1 if pairs.shape[0] == shorter else 0).sum())
        if shorter >= MIN_FRAMES and shared >= MIN_SHARED_FRAMES * shorter:
            found.append(position)
    return found


def _near_sounds(one: bytes, others: Sequence[bytes]) -> list[int]:
    words, own = words_of(one), set(telling(words_of(one)))
    candidates = ((position, words_of(other)) for position, other in enumerate(others) if other)
    return [
        position
        for position, other in candidates
        if len(own.intersection(telling(other))) >= MIN_SHARED_WORDS and bit_errors(words, other) <= MAX_BIT_ERRORS
    ]


def _distances(ones: Hashes, others: Hashes) -> NDArray[np.uint16]:
    distances = np.zeros((len(ones), len(others)), np.uint16)
    for word in range(WORDS):
        distances += np.bitwise_count(ones[:, word, None] ^ others[None, :, word])
    return distances
