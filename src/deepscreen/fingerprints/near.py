"""Pairs of near hashes among very many, all of them, without comparing all with all.

Hashes that differ in at most 31 of 256 bits differ in at most one bit of one of their 16 parts of 16 bits: else it
would be two bits in each of 16, and so 32. So for every part only those are compared that have the same part, or one a
bit away. Where parts are so alike that this compares more than all with all does, as among frames of one long scene,
all are compared with all. Memory is bounded either way.

*Source:* Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing" (2014).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deepscreen.fingerprints.kinds import HASH_BYTES

PARTS, PART_BITS = 16, 16
VALUES = 1 << PART_BITS
PAIRS_AT_ONCE = 500_000  # some 40 MB
# A pair that was looked up costs as much as so many that were compared row by row (measured: 105 ns and 7 ns).
LOOKED_UP_COST = 15
Hashes = NDArray[np.uint64]  # (n, 4)
Numbers = NDArray[np.int64]
Pairs = tuple[Numbers, Numbers]  # the smaller number of each pair, and the other


def hashes_of(content: bytes) -> Hashes:
    """PDQ hashes from their bytes, one after the other."""
    return np.frombuffer(content, np.uint64).reshape(-1, HASH_BYTES // 8)


def near_pairs(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    """All pairs whose hashes differ in at most *max_distance* bits, by blocks; a pair may come more than once.

    Raises ValueError where *max_distance* is not below twice the number of parts: then some pairs would be missed.
    """
    if not 0 <= max_distance < 2 * PARTS:
        raise ValueError(f"max_distance: want 0 to {2 * PARTS - 1}, got {max_distance}")
    parts = hashes.view(np.uint16).reshape(len(hashes), PARTS)
    looked_up = sum(_Part(parts[:, number]).pairs() for number in range(PARTS))
    if looked_up * LOOKED_UP_COST > len(hashes) ** 2 // 2:
        yield from _all_with_all(hashes, max_distance)
        return
    for number in range(PARTS):
        for ones, others in _Part(parts[:, number]).candidates():
            is_near = _distances(hashes, ones, others) <= max_distance
            if is_near.any():
                ones, others = ones[is_near], others[is_near]
                yield np.minimum(ones, others), np.maximum(ones, others)


class _Part:
    """One part of all hashes, and which hashes have which value of it."""

    def __init__(self, values: NDArray[np.uint16]) -> None:
        self._values = values.astype(np.int64)
        self._counts = np.bincount(self._values, minlength=VALUES)

    def pairs(self) -> int:
        """How many pairs have the same value, or values one bit apart."""
        same = int((self._counts * (self._counts - 1) // 2).sum())
        values = np.arange(VALUES)
        return same + sum(
            int((self._counts[clear] * self._counts[clear | bit]).sum())
            for bit in (1 << k for k in range(PART_BITS))
            for clear in (values[values & bit == 0],)
        )

    def candidates(self) -> Iterator[Pairs]:
        """Those pairs, each once."""
        order = np.argsort(self._values, kind="stable")
        sorted_values = self._values[order]
        starts = np.concatenate([[0], np.cumsum(self._counts)])
        later = np.arange(1, len(order) + 1)  # of the same value: those after it
        yield from _expanded(order, order, later, starts[sorted_values + 1] - later)
        for bit in (1 << k for k in range(PART_BITS)):
            is_clear = sorted_values & bit == 0
            partner = sorted_values[is_clear] | bit
            yield from _expanded(order, order[is_clear], starts[partner], self._counts[partner])


def _expanded(order: Numbers, ones: Numbers, firsts: Numbers, lengths: Numbers) -> Iterator[Pairs]:
    """Each of *ones* with ``order[first : first + length]``, by blocks; a longer run is a block of its own."""
    has_some = lengths > 0
    ones, firsts, lengths = ones[has_some], firsts[has_some], lengths[has_some]
    ends = np.cumsum(lengths)
    start = 0
    while start < len(ones):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
        block = lengths[start:stop]
        within = np.arange(int(block.sum())) - np.repeat(np.cumsum(block) - block, block)
        yield np.repeat(ones[start:stop], block), order[np.repeat(firsts[start:stop], block) + within]
        start = stop


def _distances(hashes: Hashes, ones: Numbers, others: Numbers) -> NDArray[np.uint16]:
    return np.asarray(np.bitwise_count(hashes[ones] ^ hashes[others]).sum(axis=1, dtype=np.uint16), np.uint16)


def _all_with_all(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    count = len(hashes)
    rows = max(1, PAIRS_AT_ONCE // max(1, count))
    for start in range(0, count, rows):
        block = hashes[start : start + rows]
        distances = np.zeros((len(block), count - start), np.uint16)
        for word in range(hashes.shape[1]):
            distances += np.bitwise_count(block[:, word, None] ^ hashes[None, start:, word])
        ones, others = np.nonzero(distances <= max_distance)
        is_after = ones < others
        if is_after.any():
            yield start + ones[is_after], start + others[is_after]
