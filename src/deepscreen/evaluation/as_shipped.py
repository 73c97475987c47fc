"""Screens a data set with the shipped method, through the same desk as everything else. What is done stays done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from deepscreen.errors import MediaError
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.score_rows import ScoredSet, ScoreRow, failed_rows, rows_of
from deepscreen.kept import read_record, write_record
from deepscreen.media.intake import take_in
from deepscreen.record import Provenance, Screening
from deepscreen.screening import ScreeningDesk


class KeptRecords:
    """Records on disk, ``<folder>/<sha256 of the media>.json``: an evaluation needs no pictures beside them."""

    def __init__(self, folder: Path, provenance: Provenance) -> None:
        self._folder, self._provenance = folder, provenance
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, media_sha256: str) -> Screening | None:
        """The record of this content; None where there is none. Raises ConfigError where another method made it."""
        return read_record(self._path(media_sha256), media_sha256, self._provenance)

    def keep(self, screening: Screening) -> None:
        """Writes a record, as a whole or not at all."""
        write_record(self._path(screening.media.sha256), screening)

    def _path(self, media_sha256: str) -> Path:
        return self._folder / f"{media_sha256}.json"


def screen_items(
    items: Sequence[Item], desk: ScreeningDesk, records: KeptRecords, on_item: Callable[[], None]
) -> ScoredSet:
    """Rows for all items, in their order; a file that cannot be examined has rows that say so."""
    rows: list[ScoreRow] = []
    n_unlabelled = 0
    for item in items:
        try:
            screening = _screening(item, desk, records)
        except MediaError as error:
            rows += failed_rows(item, error)
        else:
            own = rows_of(item, screening)
            n_unlabelled += len(screening.modalities) - len(own)
            rows += own
        on_item()
    return ScoredSet(tuple(rows), n_unlabelled)


def _screening(item: Item, desk: ScreeningDesk, records: KeptRecords) -> Screening:
    intake = take_in(item.file.path, limits=desk.settings.limits)
    known = records.find(intake.sha256)
    if known is not None:
        return known
    screening = desk.screen(intake).screening
    records.keep(screening)
    return screening
