"""Entries of the misuse register that the tests of its exchange share."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from deepscreen.register.entry import Entry
from deepscreen.register.rows import Kept

AT = datetime(2026, 11, 3, 14, 5, 9, 123456, tzinfo=UTC)


def entry(number: int, **fields: Any) -> Entry:
    """An entry about a picture of its own."""
    given = {
        "id": f"5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e{number:02d}",
        "revision": 1,
        "created_at": AT,
        "revised_at": AT,
        "kind": "image",
        "media_sha256": f"{number:064x}",
        "fingerprint": base64.b64encode(bytes([number]) * 32).decode(),
        "tool": "FaceSwapper 3",
        "tool_kind": "face_swap",
        "misuse": "fraud",
        "modus_operandi": "Video call of a false manager.\n=Payment by a second person.",
        "case_reference": "2026-117",
        "tlp": "green",
    }
    return Entry(**{**given, **fields})


def kept(entry: Entry, *, campaign: str | None = None, origin: str | None = None) -> Kept:
    """The entry as a register keeps it."""
    return Kept(entry, "ada", "ada", "", None, origin, campaign)


ENTRIES = (
    entry(1),
    entry(2, tlp="amber+strict", status="dismissed", tool="=cmd|' /C calc'!A0", modus_operandi="", case_reference=""),
    entry(3, kind="audio", fingerprint=None, tool="'=x", tlp="clear", revision=3),
    entry(4, kind="video", fingerprint=base64.b64encode(bytes(range(64))).decode(), tlp="red", misuse="extortion"),
    entry(5, kind="audio", fingerprint=base64.b64encode(bytes(8 * 2579)).decode(), tlp="amber", tool='Ünï, "code"'),
)
SHARED = tuple(kept(found, campaign=ENTRIES[0].id if n < 2 else None) for n, found in enumerate(ENTRIES))
