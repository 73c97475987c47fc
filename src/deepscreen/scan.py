"""Screens every file below a folder: one envelope line a file, failures included; inputs are never touched.

A content that this very method has screened before into the same results (an earlier scan, one that was cut short, a
copy under another name) is not screened again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError, DeepscreenError, MediaError
from deepscreen.kept import KeptResults
from deepscreen.media.intake import take_in
from deepscreen.record import Screening
from deepscreen.report.as_csv import csv_header, csv_rows
from deepscreen.report.as_html import IndexEntry, IndexSummary, write_index
from deepscreen.report.as_json import envelope_line, envelope_path
from deepscreen.report.wording import shown
from deepscreen.screening import ScreeningDesk

RECORDS_NAME, CSV_NAME, INDEX_NAME, EVIDENCE_NAME = "records.jsonl", "records.csv", "index.html", "evidence"


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """What came of one file: a record or an error. ``path`` is relative to the folder, as the file system names it."""

    path: Path
    screening: Screening | None
    error: DeepscreenError | None
    seconds: float
    thumbnail_jpeg: bytes | None
    was_kept: bool = False  # the result was there already


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

    Raises ConfigError where *out_dir* lies inside *folder* (the scan would find its own pictures), or holds results of
    another method or of files that are not there any more.
    """
    paths = list_files(folder)
    _check_out_dir(folder, out_dir)
    _check_listed(out_dir, paths)
    kept = KeptResults(out_dir / EVIDENCE_NAME, desk.provenance)
    scanned: list[ScannedFile] = []
    # Written beside and moved at the end: a scan that stops half way leaves an earlier one's lists whole.
    new_records, new_table = out_dir / f"{RECORDS_NAME}.part", out_dir / f"{CSV_NAME}.part"
    with new_records.open("wb") as records, new_table.open("w", newline="", encoding="utf-8") as table:
        table.write(csv_header())
        for path in paths:
            item = scan_file(folder, path, desk, kept)
            records.write(envelope_line(os.fsencode(path), screening=item.screening, error=item.error))
            table.writelines(csv_rows(shown(str(path)), item.screening, _error_text(item)))
            scanned.append(item)
            on_file(item)
    new_records.replace(out_dir / RECORDS_NAME)
    new_table.replace(out_dir / CSV_NAME)
    summary = IndexSummary.of(item.screening for item in scanned)
    write_index(out_dir / INDEX_NAME, _entries(scanned), summary=summary)
    return scanned


def scan_file(folder: Path, path: Path, desk: ScreeningDesk, kept: KeptResults | None) -> ScannedFile:
    """One file, its result taken from *kept* or written there where that is given; a MediaError becomes its result."""
    start = time.perf_counter()
    try:
        intake = take_in(folder / path, limits=desk.settings.limits)
        known = kept.find(intake.sha256) if kept is not None else None
        if known is not None:
            seconds = time.perf_counter() - start
            return ScannedFile(path, known.screening, None, seconds, known.thumbnail_jpeg, was_kept=True)
        screened = desk.screen(intake)
    except MediaError as error:
        return ScannedFile(path, None, error, time.perf_counter() - start, None)
    if kept is not None:
        kept.keep(screened)
    return ScannedFile(path, screened.screening, None, time.perf_counter() - start, screened.thumbnail_jpeg)


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
    out_dir.mkdir(parents=True, exist_ok=True)


def _check_listed(out_dir: Path, paths: list[Path]) -> None:
    """A list of files that are gone, or of another folder, must not be overwritten."""
    try:
        lines = (out_dir / RECORDS_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return
    gone = {path for line in lines if (path := envelope_path(line)) is not None} - {os.fsencode(p) for p in paths}
    if gone:
        example = shown(os.fsdecode(min(gone)))
        raise ConfigError(
            f"{shown(str(out_dir))}: lists {len(gone)} files that are not in the folder (such as {example}); "
            "choose another --out"
        )


def _raise(error: OSError) -> None:
    """A folder that cannot be listed must not pass for an empty one."""
    raise ConfigError(f"{shown(str(error.filename))}: cannot be listed ({error.strerror})") from error
