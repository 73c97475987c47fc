"""What comes of screening a file: the record, and what lies beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deepscreen.record import Screening
from deepscreen.settings import Profile


@dataclass(frozen=True, slots=True)
class Screened:
    """A record, its evidence pictures by name, and how long each stage took (not part of the record)."""

    screening: Screening
    artefacts: Mapping[str, bytes]
    stage_seconds: Mapping[str, float]
    thumbnail_jpeg: bytes | None  # a small picture of the item for lists; not evidence, not in the record


@dataclass(slots=True)
class Bench:
    """What gathers while one file is worked on, and how thoroughly that is done."""

    profile: Profile
    artefacts: dict[str, bytes] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    thumbnail: bytes | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that is spent within to the stage *name*."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + time.perf_counter() - start

    def screened(self, screening: Screening) -> Screened:
        """The record with all that has gathered."""
        return Screened(screening, self.artefacts, self.stage_seconds, self.thumbnail)


def write_artefacts(screened: Screened, folder: Path) -> None:
    """Writes the evidence pictures under their names into *folder*, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in screened.artefacts.items():
        (folder / name).write_bytes(content)
