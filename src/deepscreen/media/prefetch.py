"""Decoding runs ahead of its consumer by a bounded number of items, so that decoder and network overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
POLL_SECONDS = 0.1


def prefetched(items: Iterator[Item], *, ahead: int) -> Generator[Item]:
    """The same items in the same order, at most *ahead* of them waiting; errors come where they came.

    Closing it, or dropping it half-way, ends the thread and closes *items*.
    """
    waiting: queue.Queue[Item | BaseException | None] = queue.Queue(ahead)
    is_over = threading.Event()

    def put(item: Item | BaseException | None) -> None:
        while not is_over.is_set():
            with suppress(queue.Full):
                return waiting.put(item, timeout=POLL_SECONDS)

    def work() -> None:
        try:
            for item in items:
                put(item)
                if is_over.is_set():
                    break
            put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            put(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()
        thread.join()
