"""Room on the disk for uploads under way: what was promised to one and has not arrived yet is no other's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from deepscreen.api.resumable import ResumableUploads
from deepscreen.store.store import Store


class Room:
    """Keeps count of promises. Resumable uploads are promises as long as they last, also over a restart."""

    def __init__(self, store: Store, resumable: ResumableUploads) -> None:
        self._store, self._resumable = store, resumable
        self._lock = threading.Lock()
        self._promised_bytes = 0  # to uploads of one request

    def check(self, wanted_bytes: int) -> None:
        """Raises StorageFull where *wanted_bytes* beside all promises would leave too little free."""
        with self._lock:
            promised_bytes = self._promised_bytes
        self._store.check_space(promised_bytes + self._resumable.promised_bytes() + wanted_bytes)

    def check_still(self) -> None:
        """Raises StorageFull where too little is free by now: whoever filled it, an upload does not take the rest."""
        self._store.check_space(0)

    @contextmanager
    def promise(self, size_bytes: int) -> Iterator[Promise]:
        """Keeps room that ``check`` found for an upload, as long as the context lasts."""
        promise = Promise(self, size_bytes)
        self.change(size_bytes)
        try:
            yield promise
        finally:
            self.change(-promise.left_bytes)

    def change(self, by_bytes: int) -> None:
        """So much more is promised, or less."""
        with self._lock:
            self._promised_bytes += by_bytes


class Promise:
    """What one upload will still take; nothing where its sender did not say how long it is."""

    def __init__(self, room: Room, size_bytes: int) -> None:
        self._room = room
        self.left_bytes = size_bytes

    def arrived(self, size_bytes: int) -> None:
        """Before so much is written; raises StorageFull."""
        self._room.check_still()
        fulfilled = min(size_bytes, self.left_bytes)
        self.left_bytes -= fulfilled
        self._room.change(-fulfilled)
