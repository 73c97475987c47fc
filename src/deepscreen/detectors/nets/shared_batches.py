"""Fills a network's fixed batches with items from several threads, so that a device need not work on empty places.

No thread waits for company: whoever finds the device free runs what is there, and meanwhile the next batch gathers.
Only for networks whose numbers do not depend on an item's place and company (``ClipBackbone`` tries that out).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deepscreen.detectors.nets.fixed_batches import Forward, run_fixed_batches


@dataclass(slots=True, eq=False)
class _Share:
    """What one thread wants to know: ``items`` (n, ...), of which ``taken`` are in a batch, with what came of them."""

    kind: Hashable
    items: Tensor
    taken: int = 0
    parts: list[tuple[Tensor, ...]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or sum(len(part[0]) for part in self.parts) == len(self.items)

    def result(self) -> tuple[Tensor, ...]:
        if self.error is not None:
            raise self.error
        return tuple(
            torch.cat(outputs) if len(outputs) > 1 else outputs[0] for outputs in zip(*self.parts, strict=True)
        )


class SharedBatches:
    """Batches of ``batch_size`` for one network; any thread may ask at any time."""

    def __init__(self, batch_size: int, forward_of: Callable[[Hashable], Forward]) -> None:
        """``forward_of``: the network's pass of a kind; items of different kinds never share a batch."""
        self._batch_size, self._forward_of = batch_size, forward_of
        self._changed = threading.Condition()
        self._waiting: deque[_Share] = deque()
        self._is_busy = False

    def run(self, items: Tensor, kind: Hashable) -> tuple[Tensor, ...]:
        """The outputs for *items* (n, ...), n >= 1, as ``run_fixed_batches`` gives them; raises what a pass raised."""
        share = _Share(kind, items)
        with self._changed:
            self._waiting.append(share)
            self._changed.wait_for(lambda: share.is_done or not self._is_busy)
            if share.is_done:
                return share.result()
            self._is_busy = True
        try:
            while not share.is_done:
                self._run_one_batch()
                with self._changed:
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
        return share.result()

    def _run_one_batch(self) -> None:
        with self._changed:
            taken = self._take()
        try:
            batch = torch.cat([share.items[start:stop] for share, start, stop in taken])
            outputs = run_fixed_batches(self._forward_of(taken[0][0].kind), batch, self._batch_size)
        except BaseException as error:
            for share, _, _ in taken:
                share.error = error
            with self._changed:  # what is left of them is not run
                self._waiting = deque(share for share in self._waiting if share.error is None)
            return
        at = 0
        for share, start, stop in taken:
            part = tuple(output[at : at + stop - start] for output in outputs)
            share.parts.append(part)
            at += stop - start

    def _take(self) -> list[tuple[_Share, int, int]]:
        """The next batch: of the kind that has waited longest, in the order of asking. Items keep their order."""
        kind, room = self._waiting[0].kind, self._batch_size
        taken, left = [], deque[_Share]()
        for share in self._waiting:
            count = min(room, len(share.items) - share.taken) if share.kind == kind else 0
            if count:
                taken.append((share, share.taken, share.taken + count))
                share.taken += count
                room -= count
            if share.taken < len(share.items):
                left.append(share)
        self._waiting = left
        return taken
