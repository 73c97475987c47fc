"""Batches that several threads fill: all places used, each thread given its own, and no one else's error."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from deepscreen.detectors.nets.fixed_batches import Forward
from deepscreen.detectors.nets.shared_batches import SharedBatches

BATCH = 4


class Device:
    """Doubles its input, batch by batch. The first batch takes until ``release`` is set: meanwhile others ask."""

    def __init__(self) -> None:
        self.batches: list[tuple[Hashable, list[float]]] = []
        self.has_begun, self.release = threading.Event(), threading.Event()

    def forward_of(self, kind: Hashable) -> Forward:
        def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.batches.append((kind, batch[:, 0].tolist()))
            self.has_begun.set()
            assert self.release.wait(10)
            if (batch < 0).any():
                raise RuntimeError("the device does not like this")
            return (batch * 2, batch.sum(dim=1))

        return forward


def items(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None].repeat(1, 3)


def asked(device: Device, requests: list[tuple[torch.Tensor, Hashable]]) -> list[object]:
    """Outputs or error of each: the first is on the device while the others ask, one after the other."""
    shared = SharedBatches(BATCH, device.forward_of)
    with ThreadPoolExecutor(len(requests)) as threads:
        work = [threads.submit(shared.run, *requests[0])]
        assert device.has_begun.wait(10)
        for number, request in enumerate(requests[1:], 1):
            work.append(threads.submit(shared.run, *request))
            while len(shared._waiting) < number:
                threading.Event().wait(0.001)
        device.release.set()
        return [one.exception() or one.result() for one in work]


def test_items_of_several_threads_fill_batches_and_go_back_to_their_owners() -> None:
    device = Device()
    requests = [(items(1), "a"), (items(2, 3), "a"), (items(4), "a"), (items(5, 6, 7, 8, 9, 10), "a")]
    results = asked(device, requests)
    assert device.batches == [("a", [1, 0, 0, 0]), ("a", [2, 3, 4, 5]), ("a", [6, 7, 8, 9]), ("a", [10, 0, 0, 0])]
    for (given, _), (doubled, sums) in zip(requests, results, strict=True):
        assert torch.equal(doubled, given * 2)
        assert torch.equal(sums, given.sum(dim=1))


def test_kinds_do_not_mix() -> None:
    device = Device()
    results = asked(device, [(items(1), "a"), (items(2), "b"), (items(3), "a"), (items(4), "b")])
    assert device.batches == [("a", [1, 0, 0, 0]), ("b", [2, 4, 0, 0]), ("a", [3, 0, 0, 0])]
    assert [float(doubled[0, 0]) for doubled, _ in results] == [2, 4, 6, 8]


def test_an_error_is_told_to_those_whose_items_were_in_the_batch() -> None:
    device = Device()
    results = asked(device, [(items(1), "a"), (items(2), "a"), (items(-1, 3, 4, 5), "a"), (items(6), "b")])
    assert [isinstance(result, RuntimeError) for result in results] == [False, True, True, False]
    assert len(device.batches) == 3  # what was left of the third is not run


@pytest.mark.parametrize("threads", [12])
def test_many_threads_get_what_is_theirs(threads: int) -> None:
    device = Device()
    device.release.set()
    shared = SharedBatches(BATCH, device.forward_of)

    def ask(number: int) -> bool:
        given = items(*(100 * number + k for k in range(1 + number % 6)))
        return torch.equal(shared.run(given, number % 2)[0], given * 2)

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(ask, range(200)))
    assert not shared._waiting
