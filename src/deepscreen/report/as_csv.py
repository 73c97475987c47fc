"""Results as CSV for spreadsheets: one line per file and modality, safe to open."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from deepscreen.record import ModalityResult, Screening
from deepscreen.report.wording import in_order, stability_text

COLUMNS = (
    "path",
    "sha256",
    "kind",
    "modality",
    "verdict",
    "authenticity_score",
    "log10_lr",
    "log10_lr_low",
    "log10_lr_high",
    "verbal",
    "stability",
    "log10_lr_spread",
    "error",
)
# A spreadsheet runs a cell that begins with one of these as a formula; full-width forms are folded by some.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_header(further: Sequence[str] = ()) -> str:
    """The line of column names, with its line break; those of *further* columns stand last."""
    return _line([*COLUMNS, *further])


def csv_rows(path: str, screening: Screening | None, error: str | None, further: Sequence[str] = ()) -> list[str]:
    """One line, with its line break, per modality of the file; one line for a file that failed or has no modality.

    Text that a spreadsheet would run as a formula begins with an apostrophe; figures are as in the record.
    """
    return [_line([*cells, *map(_text, further)]) for cells in table_cells(path, screening, error)]


def table_cells(path: str, screening: Screening | None, error: str | None) -> list[list[str]]:
    """The cells of those lines, one list a line, as long as ``COLUMNS``."""
    name, reason = _text(path), _text(error or "")
    if screening is None:
        return [[name, *[""] * 11, reason]]
    head = [name, screening.media.sha256, screening.media.kind]
    bodies = [[modality, *_result(result)] for modality, result in in_order(screening)]
    return [[*head, *body, reason] for body in bodies or [["", screening.overall.verdict, *[""] * 7]]]


def _result(result: ModalityResult) -> list[str]:
    figures = (result.authenticity_score, result.log10_lr, result.log10_lr_low, result.log10_lr_high)
    spread = result.stability.log10_lr_spread if result.stability else None
    return [
        result.verdict,
        *map(_figure, figures),
        _text(result.verbal),
        stability_text(result),
        _figure(spread),
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else repr(value)


def _text(text: str) -> str:
    """UTF-8 can carry it, and no spreadsheet runs it."""
    encodable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f"'{encodable}" if encodable.startswith(FORMULA_STARTS) else encodable


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
