"""The fingerprint of a file of any kind, as bytes to be kept, and the groups that such files form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepscreen.errors import MediaError
from deepscreen.fingerprints.grouping import MIN_SHARED_WORDS, group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.pdq import HASH_BYTES, MAX_DISTANCE, MIN_QUALITY, pdq
from deepscreen.fingerprints.sound import LONGEST_SECONDS, SAMPLE_RATE_HZ, Words, sound_words, telling
from deepscreen.media.intake import Intake
from deepscreen.media.samples import SamplingPlan
from deepscreen.media.sandbox import Decoder, Examined

FRAMES = 8
PICTURE, CLIP, SOUND = "image", "video", "audio"
Fingerprint = tuple[str, bytes]  # the kind of media, and its hash, hashes of frames, or words


def fingerprint_of(decoder: Decoder, intake: Intake, examined: Examined) -> Fingerprint | None:
    """The fingerprint of a file; None where it has nothing of its own (a plain picture, silence) or cannot be read."""
    try:
        if examined.still is not None:
            content = _good(examined.still.pixels)
        elif examined.facts.kind == CLIP:
            content = _frames(decoder, intake, examined)
        else:
            content = _sound(decoder, intake)
    except MediaError:  # screening the file will tell what is wrong with it
        return None
    return (examined.facts.kind, content) if content else None


def groups_of(kind: str, fingerprints: Sequence[bytes]) -> list[list[int]]:
    """Groups of contents of one kind that are copies of one another, by their places in *fingerprints*."""
    if kind == PICTURE:
        return group_pictures(fingerprints)
    if kind == CLIP:
        return group_clips([_hashes(content) for content in fingerprints])
    return group_sounds([_words(content) for content in fingerprints])


def candidates(kind: str, content: bytes, others: Sequence[bytes]) -> list[int]:
    """Places in *others* of those that may be copies of *content*, by a quick look; ``groups_of`` decides."""
    if not others:
        return []
    if kind == SOUND:
        told = telling(_words(content))
        shared = [np.isin(telling(_words(other)), told, assume_unique=True).sum() for other in others]
        return [number for number, count in enumerate(shared) if count >= MIN_SHARED_WORDS]
    size = HASH_BYTES // 8
    frames = np.frombuffer(b"".join(others), np.uint64).reshape(-1, size)
    owners = np.repeat(np.arange(len(others)), [len(other) // HASH_BYTES for other in others])
    near = np.zeros(len(frames), bool)
    for frame in np.frombuffer(content, np.uint64).reshape(-1, size):
        near |= np.bitwise_count(frames ^ frame).sum(axis=1) <= MAX_DISTANCE
    return [int(number) for number in np.unique(owners[near])]


def _words(content: bytes) -> Words:
    return np.frombuffer(content, np.uint32).reshape(-1, 2)


def _hashes(content: bytes) -> list[bytes]:
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def _good(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    found, quality = pdq(pixels)
    return found if quality >= MIN_QUALITY else b""


def _frames(decoder: Decoder, intake: Intake, examined: Examined) -> bytes:
    duration = examined.facts.duration_seconds(CLIP)
    plan = SamplingPlan.over(duration, frames_per_second=FRAMES / duration if duration else 1.0, max_frames=FRAMES)
    return b"".join(_good(frame.pixels) for frame in decoder.frames(intake, plan))


def _sound(decoder: Decoder, intake: Intake) -> bytes:
    blocks = decoder.sound(intake, sample_rate_hz=SAMPLE_RATE_HZ, block_seconds=LONGEST_SECONDS)
    for block in blocks:
        blocks.close()
        words = sound_words(block.samples)
        return b"" if words is None else words.tobytes()
    return b""
