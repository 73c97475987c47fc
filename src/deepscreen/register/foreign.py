"""Foreign text in messages: what others gave may be of any length, and may hold what no text in UTF-8 can."""

from __future__ import annotations

MAX_QUOTED = 60


def quoted(found: object) -> str:
    """*found* in ASCII, at most 60 characters of it."""
    return ascii(str(found)[:MAX_QUOTED])[:MAX_QUOTED]
