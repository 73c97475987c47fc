"""Files of a scan that are copies of one another in another coding: the groups they form."""

from __future__ import annotations

from itertools import count

from deepscreen.fingerprints.copies import groups_of
from deepscreen.fingerprints.kinds import CLIP, PICTURE, SOUND
from deepscreen.scanning.journal import Journal


def similar_groups(journal: Journal) -> dict[str, int]:
    """By sha256 of each content that is like another: the number of its group, from 1; the same numbers each time."""
    groups: list[list[str]] = []
    for kind in (PICTURE, CLIP, SOUND):
        contents, fingerprints = [], []
        for sha256, content in journal.fingerprints(kind):
            contents.append(sha256)
            fingerprints.append(content)
        groups += [[contents[number] for number in group] for group in groups_of(kind, fingerprints)]
    numbers = count(1)
    return {sha256: number for group in sorted(groups) for number in [next(numbers)] for sha256 in group}
