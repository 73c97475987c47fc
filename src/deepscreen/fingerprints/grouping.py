"""Groups of contents that are copies of one another, by their fingerprints. In a group each is near one other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from deepscreen.fingerprints.near import Numbers, hashes_of, near_pairs
from deepscreen.fingerprints.pdq import MAX_DISTANCE
from deepscreen.fingerprints.sound import MAX_BIT_ERRORS, Words, bit_errors, telling

# Of the shorter clip's frames that must be near a frame of the other.
MIN_SHARED_FRAMES = 0.75
MIN_FRAMES = 3
# Words that two recordings must share exactly before they are compared; one that many have says nothing.
MIN_SHARED_WORDS, MAX_HOLDERS = 2, 200


class Chains:
    """Contents by number, joined pair by pair (union-find)."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def join(self, one: int, other: int) -> None:
        """The two belong together, and with them all that belong to either."""
        first, second = sorted((self._top(one), self._top(other)))
        self._above[second] = first

    def groups(self) -> list[list[int]]:
        """Groups of two or more, each in order."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for number in range(len(self._above)):
            found[self._top(number)].append(number)
        return [group for group in found.values() if len(group) > 1]

    def _top(self, number: int) -> int:
        while self._above[number] != number:
            self._above[number] = self._above[self._above[number]]
            number = self._above[number]
        return number


def group_pictures(hashes: Sequence[bytes]) -> list[list[int]]:
    """Groups of pictures by their PDQ hashes."""
    different, number_of = np.unique(hashes_of(b"".join(hashes)), axis=0, return_inverse=True)
    labels = np.arange(len(different))
    for ones, others in near_pairs(different, MAX_DISTANCE):
        is_apart = labels[ones] != labels[others]
        if is_apart.any():
            labels = _joined(labels, ones[is_apart], others[is_apart])
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, label in enumerate(labels[number_of.reshape(-1)].tolist()):
        groups[label].append(number)
    return [group for group in groups.values() if len(group) > 1]


def group_clips(clips: Sequence[Sequence[bytes]]) -> list[list[int]]:
    """Groups of clips by the PDQ hashes of frames of each, taken at the same shares of its length."""
    owner = [number for number, frames in enumerate(clips) for _ in frames]
    matched: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    frames = [frame for clip in clips for frame in clip]
    for ones, others in near_pairs(hashes_of(b"".join(frames)), MAX_DISTANCE):
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            first, second = owner[one], owner[other]
            if first != second:
                matched[first, second].add(one if len(clips[first]) <= len(clips[second]) else other)
    chains = Chains(len(clips))
    for (first, second), shared in matched.items():
        shorter = min(len(clips[first]), len(clips[second]))
        if shorter >= MIN_FRAMES and len(shared) >= MIN_SHARED_FRAMES * shorter:
            chains.join(first, second)
    return chains.groups()


def group_sounds(recordings: Sequence[Words]) -> list[list[int]]:
    """Groups of recordings by their words; only those that share some words exactly are compared."""
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in _holders([telling(words) for words in recordings]):
        shared.update(_pairs(numbers))
    chains = Chains(len(recordings))
    for (one, other), count in shared.items():
        if count >= MIN_SHARED_WORDS and bit_errors(recordings[one], recordings[other]) <= MAX_BIT_ERRORS:
            chains.join(one, other)
    return chains.groups()


def _joined(labels: Numbers, ones: Numbers, others: Numbers) -> Numbers:
    """The labels after what each pair is labelled with has become one."""
    edges = coo_array((np.ones(len(ones), np.int8), (labels[ones], labels[others])), shape=(len(labels),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)[labels]


def _holders(told: Sequence[NDArray[np.uint32]]) -> Iterator[list[int]]:
    """Of each word that more than one recording has, but not too many: their numbers in order."""
    if not told:
        return
    words = np.concatenate(told)
    owners = np.repeat(np.arange(len(told)), [len(each) for each in told])
    order = np.argsort(words, kind="stable")
    words, owners = words[order], owners[order]
    edges = np.flatnonzero(np.diff(words, prepend=words[:1] ^ 1, append=words[-1:] ^ 1))
    lengths = np.diff(edges)
    for place in np.flatnonzero((lengths > 1) & (lengths <= MAX_HOLDERS)):
        yield owners[edges[place] : edges[place + 1]].tolist()


def _pairs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((one, other) for at, one in enumerate(numbers) for other in numbers[at + 1 :])
