"""Rows of the register's table, and the entries that they are."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from deepscreen.register.entry import Entry, Statement, moment


@dataclass(frozen=True, slots=True)
class Kept:
    """A revision of an entry, with what this laboratory alone knows of it."""

    entry: Entry
    created_by: str  # id of a key
    revised_by: str
    reason: str  # of the amendment; "" of a first revision
    screening_id: str | None
    origin: str | None  # who gave it; None: it was made here
    campaign: str | None  # id of the oldest entry whose file is a copy; None: no other's is

    @property
    def id(self) -> str:
        """The entry's id."""
        return self.entry.id

    @property
    def created_at(self) -> float:
        """Seconds since 1970."""
        return self.entry.created_at.timestamp()


def columns_of(entry: Entry) -> dict[str, Any]:
    """What the columns hold that an entry fills."""
    return {
        **{name: str(getattr(entry, name)) for name in Statement.model_fields},
        "id": entry.id,
        "revision": entry.revision,
        "created_at": _seconds(entry.created_at),
        "revised_at": _seconds(entry.revised_at),
        "kind": entry.kind,
        "media_sha256": entry.media_sha256,
        "fingerprint": entry.fingerprint_bytes(),
    }


def kept_of(row: Row[Any]) -> Kept:
    """The revision that a row holds."""
    content = row.fingerprint
    entry = Entry(
        **{name: getattr(row, name) for name in Statement.model_fields},
        id=row.id,
        revision=row.revision,
        created_at=moment(row.created_at),
        revised_at=moment(row.revised_at),
        kind=row.kind,
        media_sha256=row.media_sha256,
        fingerprint=None if content is None else base64.b64encode(bytes(content)).decode("ascii"),
    )
    return Kept(
        entry, row.created_by, row.revised_by, row.reason, row.screening_id, row.origin, row.campaign
    )  # fmt: skip


def _seconds(at: datetime) -> float:
    return at.timestamp()
