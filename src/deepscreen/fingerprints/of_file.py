"""The fingerprint of a file of any kind, as bytes to be kept, and the groups that such files form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepscreen.errors import DecoderCrashed, DecodeTimeout, MediaError
from deepscreen.fingerprints.gathering import FRAMES, picture_fingerprint, sound_fingerprint
from deepscreen.fingerprints.grouping import group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.nearness import CLIP, PICTURE
from deepscreen.fingerprints.pdq import HASH_BYTES
from deepscreen.fingerprints.sound import LONGEST_SECONDS, SAMPLE_RATE_HZ, Words
from deepscreen.media.intake import Intake
from deepscreen.media.samples import SamplingPlan
from deepscreen.media.sandbox import Decoder, Examined

Fingerprint = tuple[str, bytes]  # the kind of media, and its hash, hashes of frames, or words


def fingerprint_of(decoder: Decoder, intake: Intake, examined: Examined) -> Fingerprint | None:
    """The fingerprint of a file; None where it has nothing of its own (a plain picture, silence) or cannot be read."""
    try:
        if examined.still is not None:
            content = picture_fingerprint(examined.still.pixels)
        elif examined.facts.kind == CLIP:
            content = _frames(decoder, intake, examined)
        else:
            content = _sound(decoder, intake)
    except (DecodeTimeout, DecoderCrashed):  # it may go well another time
        raise
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


def _words(content: bytes) -> Words:
    return np.frombuffer(content, np.uint32).reshape(-1, 2)


def _hashes(content: bytes) -> list[bytes]:
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def _frames(decoder: Decoder, intake: Intake, examined: Examined) -> bytes:
    duration = examined.facts.duration_seconds(CLIP)
    plan = SamplingPlan.over(duration, frames_per_second=FRAMES / duration if duration else 1.0, max_frames=FRAMES)
    return b"".join(picture_fingerprint(frame.pixels) for frame in decoder.frames(intake, plan))


def _sound(decoder: Decoder, intake: Intake) -> bytes:
    blocks = decoder.sound(intake, sample_rate_hz=SAMPLE_RATE_HZ, block_seconds=LONGEST_SECONDS)
    for block in blocks:
        blocks.close()
        return sound_fingerprint(block.samples)
    return b""
