"""What comes of screening a file: the record, and what lies beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deepscreen.media.samples import Waveform
from deepscreen.record import Screening
from deepscreen.settings import Profile

OnProgress = Callable[[float], None]  # what share of a file's sound is read, from 0 to 1


@dataclass(frozen=True, slots=True)
class Screened:
    """A record, its evidence pictures by name, and how long each stage took (not part of the record)."""

    screening: Screening
    artefacts: Mapping[str, bytes]
    stage_seconds: Mapping[str, float]
    thumbnail_jpeg: bytes | None  # a small picture of the item for lists; not evidence, not in the record
    fingerprints: Mapping[str, bytes] = field(default_factory=dict)  # by kind of stream, to find copies; no evidence

    @property
    def fingerprint(self) -> bytes | None:
        """Of what the file is: a clip's pictures, not its sound. None where it has nothing of its own."""
        return self.fingerprints.get(self.screening.media.kind)


@dataclass(slots=True)
class Bench:
    """What gathers while one file is worked on, how thoroughly that is done, and who is told how far it is."""

    profile: Profile
    on_progress: OnProgress = lambda _: None
    artefacts: dict[str, bytes] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    thumbnail: bytes | None = None
    fingerprints: dict[str, bytes] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that is spent within to the stage *name*."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + time.perf_counter() - start

    def listened(self, blocks: Iterator[Waveform], duration_seconds: float) -> Iterator[Waveform]:
        """*blocks* as they are, and after each the share of the sound that is read: a file may take hours."""
        for block in blocks:
            yield block
            if duration_seconds > 0:
                self.on_progress(min(1.0, (block.start_seconds + block.duration_seconds) / duration_seconds))

    def screened(self, screening: Screening) -> Screened:
        """The record with all that has gathered."""
        found = {kind: content for kind, content in self.fingerprints.items() if content}
        return Screened(screening, self.artefacts, self.stage_seconds, self.thumbnail, found)


def write_artefacts(screened: Screened, folder: Path) -> None:
    """Writes the evidence pictures under their names into *folder*, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in screened.artefacts.items():
        (folder / name).write_bytes(content)
