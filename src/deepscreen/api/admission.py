"""Who may enter: a bounded number of requests, of which fewer still are screened at once; beyond that, an early no."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from deepscreen.errors import Overloaded

T = TypeVar("T")

FIRST_GUESS_SECONDS = 2.0  # of one screening, until the first was timed
NEWEST_WEIGHT = 0.3  # in the running mean of screening times
MAX_RETRY_AFTER_SECONDS = 120


class ClientGone(Exception):
    """The client left while its request waited or ran; nobody reads an answer."""


@dataclass(frozen=True, slots=True)
class Places:
    """How many requests are being screened, and how many upload or wait for that, against their bounds."""

    running: int
    waiting: int
    max_concurrent: int
    max_waiting: int


class Admission:
    """Hands out ``max_concurrent + max_waiting`` places and runs at most ``max_concurrent`` pieces of work at once."""

    def __init__(self, *, max_concurrent: int, max_waiting: int) -> None:
        self._max_concurrent = max_concurrent
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._taken = 0
        self._running = 0
        self._mean_seconds = FIRST_GUESS_SECONDS
        self._pool = ThreadPoolExecutor(max_concurrent, thread_name_prefix="screening")

    @property
    def places(self) -> Places:
        """The places taken at this moment."""
        with self._lock:
            return Places(self._running, self._taken - self._running, self._max_concurrent, self._max_waiting)

    def try_enter(self) -> Place:
        """A place, to be used as a context manager; raises Overloaded at once when none is free."""
        with self._lock:
            if self._taken >= self._max_concurrent + self._max_waiting:
                raise Overloaded(
                    f"all {self._max_concurrent + self._max_waiting} places are taken; try again later",
                    retry_after_seconds=self._retry_after_seconds(),
                )
            self._taken += 1
        return Place(self)

    def close(self) -> None:
        """Lets running work end, drops what still waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _retry_after_seconds(self) -> int:
        expected = math.ceil(self._mean_seconds * self._taken / self._max_concurrent)
        return min(max(1, expected), MAX_RETRY_AFTER_SECONDS)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        return self._pool.submit(self._timed, work)

    def _timed(self, work: Callable[[], T]) -> T:
        start_seconds = time.monotonic()
        with self._lock:
            self._running += 1
        try:
            return work()
        finally:
            took_seconds = time.monotonic() - start_seconds
            with self._lock:
                self._running -= 1
                self._mean_seconds += NEWEST_WEIGHT * (took_seconds - self._mean_seconds)

    def _leave(self) -> None:
        with self._lock:
            self._taken -= 1


class Place:
    """One request's place. It is given back when the request ends, but never before its work has ended.

    A thread cannot be stopped from outside: when a client leaves while its work runs, the place stays taken until the
    work is done, so that there are never more than ``max_concurrent`` at once. Work that has not begun is dropped.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._cleanup = ExitStack()
        self._cleanup.callback(admission._leave)
        self._future: Future[Any] | None = None

    def defer(self, cleanup: Callable[[], object]) -> None:
        """Has *cleanup* called when the place is given back."""
        self._cleanup.callback(cleanup)

    async def run(self, work: Callable[[], T], *, gone: Coroutine[Any, Any, None]) -> T:
        """The result of *work*, done in a thread when its turn comes; raises ClientGone when *gone* returns first."""
        future = self._admission._submit(work)
        self._future = future
        result = asyncio.wrap_future(future)
        watcher = asyncio.ensure_future(gone)
        either: tuple[asyncio.Future[Any], ...] = (result, watcher)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise ClientGone
            return result.result()
        finally:
            watcher.cancel()
            future.cancel()
            result.cancel()

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._future is None:
            self._cleanup.close()
        else:
            self._future.add_done_callback(lambda _: self._cleanup.close())
