"""A shot that is interrupted for about a second and then goes on: foreign frames, or another face, set into it.

What jumps at the beginning jumps back at the end, at the same places of the picture, and the frame after continues the
frame before. Cuts to and fro between shots do the same, again and again: an interruption that comes more than once is
not reported. Frames are looked at one by one, small; what is kept is two seconds of them.

Thresholds were set on hosts of ``deepscreen evaluate-spans``; they repeat their clips, and so do honest coincidences in
them, which favours the last rule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepscreen.findings.finding import Finding, finding

INTERRUPTED_SHOT = "interrupted_shot"
SIDE_PX = 48  # of the small frames
CELLS = 8  # a side: a face fills a few of them
LEAST_GAP_SECONDS = 0.05  # between frames: more of them cost time and tell no more
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 2.0  # shorter ones are blinks and flashes
LEAST_SCORE = 1.1
LEAST_RECURRING = 0.5  # of what may be the same change once more
MOST_LEFT = 0.75  # of what jumped anywhere: else it is a cut to a third shot
JUMP = 4.0  # times the usual change
NOISE = 3.0  # in grey levels squared: what coding does to a small frame
STEADINESS = 4.0  # how much it counts against it that the frame after differs from the frame before, wherever it jumped
SAME_CHANGE = 0.5  # cosine of two changes that are one
MOST_KEPT = 64
Small = NDArray[np.uint8]  # (SIDE_PX, SIDE_PX, 3)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Interruption:
    """What lies in [start_seconds, end_seconds) does not belong to what is around it; the higher the clearer.

    ``jump`` (CELLS**2, values): how its first frame differs from the one before; ``cells``: where that is clearest.
    """

    score: float
    start_seconds: float
    end_seconds: float
    jump: NDArray[np.float32]
    cells: NDArray[np.int64]

    def overlaps(self, other: Interruption) -> bool:
        """Whether they share any time."""
        return self.start_seconds < other.end_seconds and other.start_seconds < self.end_seconds

    def recurs_in(self, other: Interruption) -> bool:
        """Whether *other* begins with the same change at the same place."""
        own, its = self.jump[self.cells].ravel(), other.jump[self.cells].ravel()
        return float(own @ its) > SAME_CHANGE * float(np.linalg.norm(own) * np.linalg.norm(its) + 1e-6)


def interruption_findings(frames: Iterable[tuple[float, Small]]) -> Iterator[Finding]:
    """A finding where shots are interrupted. *frames*: (start in seconds, small frame), ascending."""
    for one in unrepeated(interruptions(frames)):
        yield finding(
            INTERRUPTED_SHOT,
            f"From {one.start_seconds:.2f} to {one.end_seconds:.2f} s a part of the picture, or all of it, changes at "
            "once, then changes back, and the shot goes on as before, as where foreign frames or another face were set "
            "in, or where an editor cut away.",
            source="frames",
            severity="notice",
            facts={
                "start_seconds": round(one.start_seconds, 3),
                "end_seconds": round(one.end_seconds, 3),
                "clearness": round(one.score, 2),
            },
        )


def unrepeated(found: Iterable[Interruption]) -> list[Interruption]:
    """Those of *found* that are clear and come but once, in order of time."""
    every = sorted(found, key=lambda one: one.start_seconds)
    clear = [one for one in every if one.score >= LEAST_SCORE]
    return [one for one in clear if not any(other is not one and one.recurs_in(other) for other in every)]


def interruptions(frames: Iterable[tuple[float, Small]]) -> list[Interruption]:
    """The clearest interruptions that do not overlap, repeated ones too."""
    window = _Window()
    kept: list[Interruption] = []
    for time_seconds, small in frames:
        best = window.push(time_seconds, small)
        if best is not None and best.score >= LEAST_RECURRING:
            kept = _with(kept, best)
    return kept


def _with(kept: list[Interruption], new: Interruption) -> list[Interruption]:
    """*kept* and *new*, but of those that overlap only the clearest."""
    rivals = [one for one in kept if one.overlaps(new)]
    if any(one.score >= new.score for one in rivals):
        return kept
    chosen = [one for one in kept if one not in rivals] + [new]
    return sorted(chosen, key=lambda one: -one.score)[:MOST_KEPT]


class _Window:
    """The last frames, cut into cells, and how each differs from the one before it."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._cells: deque[NDArray[np.float32]] = deque()  # (CELLS**2, values)
        self._jumps: deque[NDArray[np.float32]] = deque()  # from the frame before
        self._energies: deque[NDArray[np.float32]] = deque()

    def push(self, time_seconds: float, small: Small) -> Interruption | None:
        """The clearest interruption that ends where this frame begins."""
        cells = _cells(small)
        jump = cells - self._cells[-1] if self._cells else np.zeros_like(cells)
        self._append(time_seconds, cells, jump)
        times = np.array(self._times)
        lasting = time_seconds - times
        begins = np.flatnonzero((lasting >= SHORTEST_SECONDS) & (lasting <= LONGEST_SECONDS))
        begins = begins[begins > 0]
        if not len(begins):
            return None
        scores = self._scores(begins)
        best, place = np.unravel_index(int(scores.argmax()), scores.shape)
        begin, corner = begins[best], int(place) // (CELLS - 1) * CELLS + int(place) % (CELLS - 1)
        four = np.array([corner, corner + 1, corner + CELLS, corner + CELLS + 1])
        return Interruption(float(scores[best, place]), float(times[begin]), time_seconds, self._jumps[begin], four)

    def _append(self, time_seconds: float, cells: NDArray[np.float32], jump: NDArray[np.float32]) -> None:
        self._times.append(time_seconds)
        self._cells.append(cells)
        self._jumps.append(jump)
        self._energies.append(np.square(jump).mean(axis=1))
        while time_seconds - self._times[0] > LONGEST_SECONDS + 4 * LEAST_GAP_SECONDS:
            for kept in (self._times, self._cells, self._jumps, self._energies):
                kept.popleft()

    def _scores(self, begins: NDArray[np.int64]) -> NDArray[np.float64]:
        """By beginning and place, the mean over four neighbouring cells of how clearly a jump was taken back."""
        jumps, energies = np.stack([self._jumps[k] for k in begins]), np.stack(list(self._energies))
        usual = np.median(energies, axis=0)
        back, own = self._jumps[-1], self._energies[-1]
        reversal = -(jumps * back).mean(axis=2)
        likeness = np.maximum(reversal, 0) / np.sqrt(energies[begins] * own + 1e-6)
        before = np.stack([self._cells[k - 1] for k in begins])
        left, least = np.square(before - self._cells[-1]).mean(axis=2), np.minimum(energies[begins], own) + 1e-6
        beyond = np.maximum(least - JUMP * usual - NOISE, 0)  # what jumped, and did not only move
        anywhere = (left * beyond).sum(axis=1, keepdims=True) / ((least * beyond).sum(axis=1, keepdims=True) + 1e-6)
        steady = (1 + STEADINESS * left / least) * (1 + anywhere)
        clear = likeness * np.log1p(np.maximum(reversal, 0) / (2 * usual + NOISE)) / steady
        clear[anywhere[:, 0] > MOST_LEFT] = 0
        grid = clear.reshape(-1, CELLS, CELLS)
        four = (grid[:, 1:, 1:] + grid[:, :-1, 1:] + grid[:, 1:, :-1] + grid[:, :-1, :-1]) / 4
        return np.asarray(four.reshape(len(begins), -1), dtype=np.float64)


def _cells(small: Small) -> NDArray[np.float32]:
    side = SIDE_PX // CELLS
    grid = small.reshape(CELLS, side, CELLS, side, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(CELLS * CELLS, -1).astype(np.float32)
