"""What a register entry takes from the screened file: kind, hash and the fingerprint kept when it was screened."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from deepscreen.record import Media, ModalityName
from deepscreen.store.fingerprints import kept_of
from deepscreen.store.store import Store


@dataclass(frozen=True, slots=True)
class Subject:
    """The file that an entry is about. ``fingerprint``: Base64; None where it has nothing of its own to be told by."""

    kind: ModalityName
    media_sha256: str
    fingerprint: str | None


def subject_of(store: Store, media: Media) -> Subject:
    """Of a file that was screened."""
    with store.database.read() as connection:
        content = kept_of(connection, media.sha256).get(media.kind)
    return Subject(media.kind, media.sha256, None if content is None else base64.b64encode(content).decode("ascii"))
