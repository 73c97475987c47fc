"""Results of a scan on disk, one folder a content: what was screened once is not screened again.

``<folder>/<sha256 of the media>/`` holds the evidence pictures, ``thumbnail.jpg``, ``fingerprint.bin`` (to find copies:
the fingerprint, or nothing, after its own sha256) and, written last, ``record.json``: a folder in which one is
missing or not whole is a screening that was cut short, and counts for nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from deepscreen.errors import ConfigError
from deepscreen.record import Provenance, Screening
from deepscreen.report.wording import shown
from deepscreen.screened import Screened, write_artefacts

RECORD_NAME, THUMBNAIL_NAME, FINGERPRINT_NAME = "record.json", "thumbnail.jpg", "fingerprint.bin"
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """A result from the disk."""

    screening: Screening
    thumbnail_jpeg: bytes | None
    fingerprint: bytes | None


class KeptResults:
    """The results below *folder* that were made as *provenance* says."""

    def __init__(self, folder: Path, provenance: Provenance) -> None:
        self._folder, self._provenance = folder, provenance

    def find(self, media_sha256: str) -> Kept | None:
        """The whole result for this content, its pictures and fingerprint proven by hashes; None where there is none.

        Raises ConfigError where another method made it: two methods' results do not mix in one folder.
        """
        own = self._folder / media_sha256
        screening = read_record(own / RECORD_NAME, media_sha256, self._provenance)
        if screening is None or not _has_pictures(own, screening):
            return None
        thumbnail, sealed = _content(own / THUMBNAIL_NAME), _content(own / FINGERPRINT_NAME)
        if sealed is None or sealed != _sealed(fingerprint := sealed[DIGEST_BYTES:]):
            return None
        return Kept(screening, thumbnail, fingerprint or None)

    def keep(self, screened: Screened) -> None:
        """Writes a result; the record last and at once, so that it is there as a whole or not at all."""
        own = self._folder / screened.screening.media.sha256
        write_artefacts(screened, own)
        if screened.thumbnail_jpeg is not None:
            (own / THUMBNAIL_NAME).write_bytes(screened.thumbnail_jpeg)
        (own / FINGERPRINT_NAME).write_bytes(_sealed(screened.fingerprint or b""))
        write_record(own / RECORD_NAME, screened.screening)


def read_record(path: Path, media_sha256: str, provenance: Provenance) -> Screening | None:
    """The record of this content at *path*, None where no whole one is; ConfigError where another method made it."""
    try:
        screening = Screening.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if screening.provenance != provenance:
        raise ConfigError(
            f"{shown(str(path.parent))}: holds records of another method or setting "
            f"({screening.provenance.method_digest[:12]}); choose another --out"
        )
    return screening if screening.media.sha256 == media_sha256 else None


def write_record(path: Path, screening: Screening) -> None:
    """Writes a record, as a whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(screening.canonical_json())
    unfinished.replace(path)


def _sealed(fingerprint: bytes) -> bytes:
    return hashlib.sha256(fingerprint).digest() + fingerprint


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _has_pictures(own: Path, screening: Screening) -> bool:
    pictures = [picture for result in screening.modalities.values() for picture in result.evidence]
    try:
        return all(hashlib.sha256((own / p.name).read_bytes()).hexdigest() == p.sha256 for p in pictures)
    except OSError:
        return False
