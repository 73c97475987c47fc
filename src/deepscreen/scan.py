"""Screens every file below a folder: one envelope line a file, failures included; inputs are never touched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError, DeepscreenError, MediaError
from deepscreen.media.intake import take_in
from deepscreen.record import Screening
from deepscreen.report.as_csv import csv_header, csv_rows
from deepscreen.report.as_html import IndexEntry, IndexSummary, write_index
from deepscreen.report.as_json import envelope_line
from deepscreen.report.wording import shown
from deepscreen.screening import Screened, ScreeningDesk, write_artefacts

RECORDS_NAME, CSV_NAME, INDEX_NAME, EVIDENCE_NAME = "records.jsonl", "records.csv", "index.html", "evidence"


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What came of one file: a record or an error. ``path`` is relative to the folder, as the file system names it."""

    path: Path
    screening: Screening | None
    error: DeepscreenError | None
    seconds: float
    thumbnail_jpeg: bytes | None


def list_files(folder: Path) -> list[Path]:
    """All entries below *folder* that are not folders, relative to it, in byte order; linked folders are entries."""
    if not folder.is_dir():
        raise ConfigError(f"{shown(str(folder))}: not a folder; to screen a single file use `deepscreen screen`")
    found = [
        Path(base, name).relative_to(folder)
        for base, folders, names in os.walk(folder, onerror=_raise, followlinks=False)
        for name in (*names, *(name for name in folders if Path(base, name).is_symlink()))
    ]
    return sorted(found, key=os.fsencode)


def scan(
    folder: Path, out_dir: Path, *, desk: ScreeningDesk, on_file: Callable[[ScannedFile], None]
) -> list[ScannedFile]:
    """Screens *folder* into *out_dir*: records.jsonl, records.csv, evidence/ and index.html.

    Raises ConfigError where *out_dir* lies inside *folder* (the scan would find its own pictures) or holds a scan.
    """
    _check_out_dir(folder, out_dir)
    scanned: list[ScannedFile] = []
    with (
        (out_dir / RECORDS_NAME).open("wb") as records,
        (out_dir / CSV_NAME).open("w", newline="", encoding="utf-8") as table,
    ):
        table.write(csv_header())
        for path in list_files(folder):
            item = scan_file(folder, path, out_dir, desk)
            records.write(envelope_line(os.fsencode(path), screening=item.screening, error=item.error))
            table.writelines(csv_rows(shown(str(path)), item.screening, _error_text(item)))
            scanned.append(item)
            on_file(item)
    summary = IndexSummary.of(item.screening for item in scanned)
    write_index(out_dir / INDEX_NAME, _entries(scanned), summary=summary)
    return scanned


def scan_file(folder: Path, path: Path, out_dir: Path | None, desk: ScreeningDesk) -> ScannedFile:
    """One file, its pictures written below *out_dir* where that is given; a MediaError becomes its result."""
    start = time.perf_counter()
    try:
        screened = desk.screen(take_in(folder / path, limits=desk.settings.limits))
    except MediaError as error:
        return ScannedFile(path, None, error, time.perf_counter() - start, None)
    if out_dir is not None:
        write_artefacts(screened, out_dir / evidence_href(screened))
    return ScannedFile(path, screened.screening, None, time.perf_counter() - start, screened.thumbnail_jpeg)


def evidence_href(screened: Screened) -> str:
    """Folder of a file's evidence pictures, relative to the scan's folder."""
    return f"{EVIDENCE_NAME}/{screened.screening.media.sha256}"


def _entries(scanned: list[ScannedFile]) -> Iterator[IndexEntry]:
    for item in scanned:
        sha256 = item.screening.media.sha256 if item.screening else ""
        yield IndexEntry(
            path_display=shown(str(item.path)),
            screening=item.screening,
            error=_error_text(item),
            thumbnail_jpeg=item.thumbnail_jpeg,
            evidence_href=f"{EVIDENCE_NAME}/{sha256}",
        )


def _error_text(item: ScannedFile) -> str | None:
    return None if item.error is None else f"{type(item.error).__name__}: {item.error}"


def _check_out_dir(folder: Path, out_dir: Path) -> None:
    source, target = folder.resolve(), out_dir.resolve()
    if target == source or source in target.parents:
        raise ConfigError(f"{shown(str(out_dir))}: lies inside the scanned folder; choose --out elsewhere")
    if (out_dir / RECORDS_NAME).exists():
        raise ConfigError(f"{shown(str(out_dir))}: holds a scan already; choose another --out or remove it")
    out_dir.mkdir(parents=True, exist_ok=True)


def _raise(error: OSError) -> None:
    """A folder that cannot be listed must not pass for an empty one."""
    raise ConfigError(f"{shown(str(error.filename))}: cannot be listed ({error.strerror})") from error
