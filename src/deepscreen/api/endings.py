"""Lets requests wait for computations: the worker of this process tells when one has ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Endings:
    """Events by computation, set in the event loop whichever thread tells."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, computation_id: str) -> None:
        """From any thread: the computation has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, computation_id)

    @contextmanager
    def watch(self, computation_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the computation ends. Look for its state *after* this, or an ending is missed."""
        event = asyncio.Event()
        self._watchers[computation_id].add(event)
        try:
            yield event
        finally:
            self._watchers[computation_id].discard(event)
            if not self._watchers[computation_id]:
                del self._watchers[computation_id]

    def _set(self, computation_id: str) -> None:
        for event in self._watchers.get(computation_id, ()):
            event.set()
