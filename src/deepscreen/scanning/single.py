"""One file, screened or failed: for those who name their files themselves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import DeepscreenError, MediaError
from deepscreen.kept import KeptResults
from deepscreen.media.intake import take_in
from deepscreen.record import Screening
from deepscreen.screened import OnProgress
from deepscreen.screening import ScreeningDesk


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What came of one file: a record or an error. ``path`` is relative to the folder, as the file system names it."""

    path: Path
    screening: Screening | None
    error: DeepscreenError | None
    seconds: float
    thumbnail_jpeg: bytes | None
    was_kept: bool = False  # the result was there already


def scan_file(
    folder: Path,
    path: Path,
    desk: ScreeningDesk,
    kept: KeptResults | None,
    *,
    on_progress: OnProgress = lambda _: None,
) -> ScannedFile:
    """One file, its result taken from *kept* or written there where that is given; a MediaError becomes its result."""
    start = time.perf_counter()
    try:
        intake = take_in(folder / path, limits=desk.settings.limits)
        known = kept.find(intake.sha256) if kept is not None else None
        if known is not None:
            seconds = time.perf_counter() - start
            return ScannedFile(path, known.screening, None, seconds, known.thumbnail_jpeg, was_kept=True)
        screened = desk.screen(intake, on_progress=on_progress)
    except MediaError as error:
        return ScannedFile(path, None, error, time.perf_counter() - start, None)
    if kept is not None:
        kept.keep(screened)
    return ScannedFile(path, screened.screening, None, time.perf_counter() - start, screened.thumbnail_jpeg)
