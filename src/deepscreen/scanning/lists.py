"""The lists of a scan: JSONL, CSV, the gallery, on wish Parquet, and the counts. Written from the journal, row by row.

Every list is written beside and moved at the end: a scan that stops half way leaves an earlier one's lists whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, TextIO

from deepscreen.errors import BlobDamaged
from deepscreen.kept import RECORD_NAME, THUMBNAIL_NAME
from deepscreen.record import Screening
from deepscreen.report.as_csv import csv_header, csv_rows
from deepscreen.report.as_html import IndexEntry, IndexSummary, write_index
from deepscreen.report.as_json import scan_line
from deepscreen.report.as_parquet import ParquetTable
from deepscreen.report.triage import TriageItem, TriagePage, triage_page
from deepscreen.report.wording import shown
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.rows import Outcome, Reason, Row
from deepscreen.scanning.summary import REASON_WORDS, Summary
from deepscreen.store.disk_errors import told_as_store_errors

RECORDS_NAME, CSV_NAME, INDEX_NAME, EVIDENCE_NAME = "records.jsonl", "records.csv", "index.html", "evidence"
PARQUET_NAME, SUMMARY_NAME = "records.parquet", "summary.json"
FURTHER_COLUMNS = ("outcome", "reason", "same_content_as", "known", "similar_group")


def told_of_results() -> AbstractContextManager[None]:
    """Raises StorageFull or StoreUnavailable for what the disk refuses while results are written."""
    return told_as_store_errors(full="no space left for results", refused="results cannot be written")


def write_page(out_dir: Path, way: bytes, screening: Screening, thumbnail_jpeg: bytes | None) -> None:
    """The page of one content, beside its pictures."""
    own = out_dir / EVIDENCE_NAME / screening.media.sha256
    own.mkdir(parents=True, exist_ok=True)
    entry = IndexEntry(shown(os.fsdecode(way)), screening, None, thumbnail_jpeg, "")
    write_index(own / INDEX_NAME, [entry], summary=IndexSummary.of([screening]))


def write_lists(
    journal: Journal, out_dir: Path, summary: Summary, groups: dict[str, int], *, with_parquet: bool
) -> None:
    """Writes all lists of what is done. ``groups``: by content, the number of its group of similar files.

    Raises BlobDamaged where a record that the journal has is not there any more.
    """
    with ExitStack() as stack:
        lists = _Lists(
            out_dir,
            groups,
            stack.enter_context(_replaced(out_dir / RECORDS_NAME)),
            stack.enter_context(_replaced_text(out_dir / CSV_NAME)),
            stack.enter_context(_parquet(out_dir / PARQUET_NAME)) if with_parquet else None,
            stack.enter_context(triage_page(out_dir, INDEX_NAME)),
        )
        for row in journal.rows():
            lists.add(row)
    (out_dir / SUMMARY_NAME).write_text(summary.as_json(), encoding="utf-8")


class _Lists:
    """All lists, to which one file after the other is added."""

    def __init__(
        self,
        out_dir: Path,
        groups: dict[str, int],
        records: BinaryIO,
        table: TextIO,
        parquet: ParquetTable | None,
        page: TriagePage,
    ) -> None:
        self._out_dir, self._groups = out_dir, groups
        self._records, self._table, self._parquet, self._page = records, table, parquet, page
        self._record = lru_cache(maxsize=64)(
            partial(_read_record, out_dir)
        )  # copies of a file often lie beside each other
        table.write(csv_header(FURTHER_COLUMNS))

    def add(self, row: Row) -> None:
        """One file."""
        record, screening = self._record(row.sha256) if row.has_record and row.sha256 else (None, None)
        group = self._groups.get(row.sha256 or "")
        self._records.write(_line(row, record, group))
        name, further = shown(os.fsdecode(row.way)), _further(row, group)
        self._table.writelines(csv_rows(name, screening, row.error_text, further))
        if self._parquet is not None:
            self._parquet.add(name, screening, row.error_text, further)
        self._page.add(self._triage_item(row, name, screening, group))

    def _triage_item(self, row: Row, name: str, screening: Screening | None, group: int | None) -> TriageItem:
        folder = f"{EVIDENCE_NAME}/{row.sha256}" if screening is not None else None
        return TriageItem(
            path_display=name,
            outcome=_gallery_outcome(row),
            note=shown(row.error_text or REASON_WORDS.get(row.reason, "")),
            screening=screening,
            folder=folder,
            has_thumbnail=folder is not None and (self._out_dir / folder / THUMBNAIL_NAME).exists(),
            first_display=None if row.first_way is None else shown(os.fsdecode(row.first_way)),
            is_known=row.is_known,
            group=group,
            size_bytes=row.size_bytes,
        )


def read_screening(out_dir: Path, row: Row) -> Screening | None:
    """The record of a file's content; None where it has none. Raises BlobDamaged where it is not there any more."""
    return _read_record(out_dir, row.sha256)[1] if row.has_record and row.sha256 else None


def _read_record(out_dir: Path, sha256: str) -> tuple[bytes, Screening]:
    try:
        record = (out_dir / EVIDENCE_NAME / sha256 / RECORD_NAME).read_bytes()
        return record, Screening.model_validate_json(record)
    except (OSError, ValueError) as error:
        raise BlobDamaged(f"the record of {sha256} is not there any more; scan again") from error


def _gallery_outcome(row: Row) -> str:
    if row.verdict is not None:
        return str(row.verdict)
    return "other" if row.outcome == Outcome.NOT_SCREENED else str(row.outcome)


def _line(row: Row, record: bytes | None, group: int | None) -> bytes:
    facts: dict[str, str | int | bool | None] = {
        "outcome": str(row.outcome),
        "reason": str(row.reason) or None,
        "same_content_as": None if row.first_way is None else os.fsdecode(row.first_way),
        "known": row.is_known or None,
        "similar_group": group,
    }
    if record is None:
        facts |= {"sha256": row.sha256, "size_bytes": row.size_bytes}
    error = None if row.error_type is None else (row.error_type, row.error_message or "")
    return scan_line(row.way, record=record, error=error, facts=facts)


def _further(row: Row, group: int | None) -> list[str]:
    return [
        str(row.outcome),
        str(row.reason if row.reason != Reason.NONE else ""),
        "" if row.first_way is None else shown(os.fsdecode(row.first_way)),
        "yes" if row.is_known else "",
        "" if group is None else str(group),
    ]


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    partial = path.with_name(f"{path.name}.part")
    with partial.open("wb") as file:
        yield file
    partial.replace(path)


@contextmanager
def _replaced_text(path: Path) -> Iterator[TextIO]:
    partial = path.with_name(f"{path.name}.part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        yield file
    partial.replace(path)


@contextmanager
def _parquet(path: Path) -> Iterator[ParquetTable]:
    partial = path.with_name(f"{path.name}.part")
    with ParquetTable(partial, FURTHER_COLUMNS) as table:
        yield table
    partial.replace(path)
