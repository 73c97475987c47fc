"""Who may enter: a bounded number of requests upload or wait for their screening; beyond that, an early no."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deepscreen.errors import Overloaded

FIRST_GUESS_SECONDS = 2.0  # of one screening, until the first was timed
NEWEST_WEIGHT = 0.3  # in the running mean of screening times
MAX_RETRY_AFTER_SECONDS = 120


class ClientGone(Exception):
    """The client left while its request waited; nobody reads an answer."""


class Admission:
    """Hands out *max_places* places, and guesses when one will be free from how long screenings take."""

    def __init__(self, *, max_places: int, max_concurrent: int) -> None:
        self._max_places, self._max_concurrent = max_places, max_concurrent
        self._lock = threading.Lock()
        self._taken = 0
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def taken(self) -> int:
        """How many places are taken."""
        with self._lock:
            return self._taken

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for as long as the context lasts; raises Overloaded at once when none is free."""
        with self._lock:
            if self._taken >= self._max_places:
                raise Overloaded(
                    f"all {self._max_places} places are taken; try again later",
                    retry_after_seconds=self._retry_after_seconds(self._taken),
                )
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    def check_queue(self, waiting: int, *, most: int) -> None:
        """Raises Overloaded where *waiting* screenings are the *most* that may wait."""
        if waiting >= most:
            with self._lock:
                retry_after_seconds = self._retry_after_seconds(waiting)
            raise Overloaded(f"{waiting} screenings wait already; try later", retry_after_seconds=retry_after_seconds)

    def took(self, seconds: float) -> None:
        """A screening took *seconds*."""
        with self._lock:
            self._mean_seconds += NEWEST_WEIGHT * (seconds - self._mean_seconds)

    def _retry_after_seconds(self, ahead: int) -> int:
        expected = math.ceil(self._mean_seconds * ahead / self._max_concurrent)
        return min(max(1, expected), MAX_RETRY_AFTER_SECONDS)
