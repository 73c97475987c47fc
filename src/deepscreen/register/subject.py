"""What a register entry takes from the screened file: kind, hash and fingerprint, computed as a scan does."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import MediaError
from deepscreen.fingerprints.of_file import fingerprint_of
from deepscreen.media.intake import intake_of_hashed
from deepscreen.media.sandbox import Decoder
from deepscreen.record import Media, ModalityName
from deepscreen.settings import Limits
from deepscreen.store.store import Store


@dataclass(frozen=True, slots=True)
class Subject:
    """The file that an entry is about. ``fingerprint``: Base64; None where it has nothing of its own to be told by."""

    kind: ModalityName
    media_sha256: str
    fingerprint: str | None


def subject_of(store: Store, media: Media, *, limits: Limits, scratch: Path) -> Subject:
    """Reads the original from the store and decodes it in the sandbox; raises StoreError."""
    with store.blobs.as_file(media.sha256, scratch) as path, Decoder(limits) as decoder:
        try:
            intake = intake_of_hashed(path, media.sha256, media.size_bytes, limits=limits)
            found = fingerprint_of(decoder, intake, decoder.examine(intake))
        except MediaError:  # it could be decoded once, under other limits perhaps
            found = None
    content = None if found is None else base64.b64encode(found[1]).decode("ascii")
    return Subject(media.kind, media.sha256, content)
