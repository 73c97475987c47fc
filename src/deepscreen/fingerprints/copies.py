"""Groups of contents of any kind that are copies of one another, by their fingerprints as they are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from deepscreen.fingerprints.grouping import Chains, group_clips, group_pictures, group_sounds
from deepscreen.fingerprints.kinds import CLIP, HASH_BYTES, PICTURE
from deepscreen.fingerprints.sound import words_of


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
    return group_sounds([words_of(content) for content in fingerprints])


def _hashes(content: bytes) -> list[bytes]:
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
