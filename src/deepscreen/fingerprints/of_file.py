"""The fingerprint of a file of any kind, as bytes to be kept, and the groups that such files form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from deepscreen.errors import DecoderCrashed, DecodeTimeout, MediaError
from deepscreen.fingerprints.gathering import frames_plan, picture_fingerprint, sound_fingerprint
from deepscreen.fingerprints.grouping import Chains, group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.nearness import CLIP, PICTURE
from deepscreen.fingerprints.pdq import HASH_BYTES
from deepscreen.fingerprints.sound import LONGEST_SECONDS, SAMPLE_RATE_HZ, Words
from deepscreen.media.intake import Intake
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
    """Groups of contents of one kind that are copies of one another, by their places in *fingerprints*.

    Identical fingerprints are compared with the others once.
    """
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, content in enumerate(fingerprints):
        places[content].append(place)
    chains, different = Chains(len(fingerprints)), list(places)
    joined = [[places[different[n]][0] for n in group] for group in _groups(kind, different)]
    for content, alike in places.items():
        if len(alike) > 1 and _groups(kind, (content, content)):  # too short a one is near nothing, nor itself
            joined.append(alike)
    for first, *others in joined:
        for other in others:
            chains.join(first, other)
    return chains.groups()


def _groups(kind: str, fingerprints: Sequence[bytes]) -> list[list[int]]:
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
    plan = frames_plan(examined.facts.duration_seconds(CLIP))
    return b"".join(picture_fingerprint(frame.pixels) for frame in decoder.frames(intake, plan))


def _sound(decoder: Decoder, intake: Intake) -> bytes:
    blocks = decoder.sound(intake, sample_rate_hz=SAMPLE_RATE_HZ, block_seconds=LONGEST_SECONDS)
    for block in blocks:
        blocks.close()
        return sound_fingerprint(block.samples)
    return b""
