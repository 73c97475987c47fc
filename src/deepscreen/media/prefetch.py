"""Decoding runs ahead of its consumer by a bounded number of items, so that decoder and network overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
POLL_SECONDS = 0.1


class _Ahead(Generic[Item]):
    """A thread that fills a bounded queue from an iterator until that ends or nobody wants more."""

    def __init__(self, items: Iterator[Item], ahead: int) -> None:
        self._items = items
        self._is_over = threading.Event()
        # An item, the error that ended the items, or None at their end.
        self.waiting: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(ahead)
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, which closes the iterator."""
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._items:
                self._put((item,))
                if self._is_over.is_set():
                    break
        except BaseException as error:
            end = error
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        self._put(end)

    def _put(self, message: tuple[Item] | BaseException | None) -> None:
        while not self._is_over.is_set():
            with suppress(queue.Full):
                self.waiting.put(message, timeout=POLL_SECONDS)
                return


def prefetched(items: Iterator[Item], *, ahead: int) -> Generator[Item]:
    """The same items in the same order, at most *ahead* of them waiting; errors come where they came.

    Closing it, or dropping it half-way, ends the thread and closes *items*.
    """
    work = _Ahead(items, ahead)
    try:
        while (message := work.waiting.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message[0]
    finally:
        work.stop()
