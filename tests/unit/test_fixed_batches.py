"""Fixed batches: always the same shape, padding never seen by the caller, smaller ones where memory runs out."""

from __future__ import annotations

import pytest
import torch

from deepscreen.detectors.nets.fixed_batches import run_fixed_batches
from deepscreen.errors import InferenceFailed


class Recorder:
    """Doubles its input, remembers batch sizes, and runs out of memory over ``capacity`` rows."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.sizes = capacity, []

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(batch) > self.capacity:
            raise torch.OutOfMemoryError("no room")
        self.sizes.append(len(batch))
        return (batch * 2, batch.sum(dim=1))


def test_every_batch_has_the_same_size_and_padding_is_cut_off() -> None:
    forward = Recorder(capacity=99)
    items = torch.arange(10.0).reshape(5, 2)
    doubled, sums = run_fixed_batches(forward, items, 4)
    assert forward.sizes == [4, 4]
    assert torch.equal(doubled, items * 2)
    assert torch.equal(sums, items.sum(dim=1))


def test_the_batch_is_halved_when_memory_runs_out(caplog: pytest.LogCaptureFixture) -> None:
    forward = Recorder(capacity=2)
    items = torch.arange(14.0).reshape(7, 2)
    doubled, _ = run_fixed_batches(forward, items, 8)
    assert forward.sizes == [2, 2, 2, 2]
    assert torch.equal(doubled, items * 2)
    assert "batches of 2" in caplog.text


def test_one_item_that_does_not_fit_is_a_typed_error() -> None:
    with pytest.raises(InferenceFailed, match="does not hold one item"):
        run_fixed_batches(Recorder(capacity=0), torch.zeros(2, 2), 4)
