"""Who looked at what of late: what is looked at frame by frame is one entry of the audit log, not hundreds."""

from __future__ import annotations

import threading
import time

AGAIN_SECONDS = 3600.0
MOST_REMEMBERED = 10_000


class Looked:
    """Remembers for an hour; forgets earlier where there is too much, which makes an entry more and never one less."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[tuple[str, str], float] = {}

    def is_first(self, caller_id: str, screening_id: str) -> bool:
        """Whether this is the first look within the hour."""
        now, key = time.monotonic(), (caller_id, screening_id)
        with self._lock:
            if now - self._at.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
                return False
            if len(self._at) >= MOST_REMEMBERED:
                self._at.clear()
            self._at[key] = now
        return True
