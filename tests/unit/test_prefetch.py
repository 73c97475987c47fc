"""Decoding ahead: same items, same order, same errors, bounded, and no thread left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from deepscreen.media.prefetch import prefetched


class Source:
    """Counts what was taken from it, and knows whether it was closed."""

    def __init__(self, limit: int | None = None, error: Exception | None = None) -> None:
        self.taken = 0
        self.is_closed = False
        self._limit, self._error = limit, error

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self.taken == self._limit:
            raise self._error or StopIteration
        self.taken += 1
        return self.taken - 1

    def close(self) -> None:
        self.is_closed = True


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("ahead", [1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_items_come_in_order(count: int, ahead: int) -> None:
    source = Source(count)
    assert list(prefetched(source, ahead=ahead)) == list(range(count))
    assert source.is_closed
    assert prefetch_threads() == []


def test_error_comes_where_it_came() -> None:
    items = prefetched(Source(3, ValueError("broken frame")), ahead=2)
    assert list(itertools.islice(items, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="broken frame"):
        next(items)
    assert prefetch_threads() == []


def test_no_more_than_asked_is_fetched_ahead() -> None:
    source = Source()
    items = prefetched(source, ahead=3)
    assert next(items) == 0
    time.sleep(0.3)
    # Three wait in the queue, and one is in the hands of the thread that could not put it there yet.
    assert source.taken <= 1 + 3 + 1
    items.close()


def test_closing_half_way_ends_the_thread_and_closes_the_source() -> None:
    source = Source()
    items = prefetched(source, ahead=2)
    assert next(items) == 0
    assert len(prefetch_threads()) == 1
    items.close()
    assert prefetch_threads() == []
    assert source.is_closed


def test_dropping_it_half_way_does_too() -> None:
    source = Source()
    items = prefetched(source, ahead=2)
    next(items)
    del items
    assert prefetch_threads() == []
    assert source.is_closed


def test_decoding_and_consuming_overlap() -> None:
    """A producer of 10 x 20 ms and a consumer of 10 x 20 ms take much less than the sum."""

    def slow() -> Iterator[int]:
        for k in range(10):
            time.sleep(0.02)
            yield k

    start = time.perf_counter()
    for _ in prefetched(slow(), ahead=3):
        time.sleep(0.02)
    assert time.perf_counter() - start < 0.36


def test_generator_is_closed_in_the_thread_that_ran_it() -> None:
    """A decoder's clean-up must not run beside its own next step."""
    closed_in: list[str] = []

    def frames() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed_in.append(threading.current_thread().name)

    items = prefetched(frames(), ahead=1)
    next(items)
    items.close()
    assert closed_in == ["prefetch"]
