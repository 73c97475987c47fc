"""The register as CSV: one line an entry, safe to open in a spreadsheet, read again without a loss."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from deepscreen.errors import ExchangeInvalid
from deepscreen.register.entry import Entry
from deepscreen.register.rows import Kept

COLUMNS = (
    "id",
    "revision",
    "created_at",
    "revised_at",
    "tlp",
    "tool",
    "tool_kind",
    "misuse",
    "modus_operandi",
    "case_reference",
    "status",
    "kind",
    "media_sha256",
    "fingerprint",
)
# A spreadsheet runs a cell that begins with one of these as a formula; an apostrophe before it keeps it from that. One
# that parts cells at `;` begins others within ours, after each `;` and, as it sees no quotes around ours, in each line.
BEGINS = r"(?:\A|(?<=[;\r\n]))"
GUARDED = re.compile(BEGINS + "(?=[ \"]*['=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
GUARD = re.compile(BEGINS + "'")
MAX_ROW_CHARACTERS = 128 * 1024  # several times the longest entry


def write_csv(shared: Sequence[Kept]) -> bytes:
    """UTF-8, a line of names first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for kept in shared:
        fields = kept.entry.model_dump(mode="json")
        writer.writerow([_guarded(str(fields[name] if fields[name] is not None else "")) for name in COLUMNS])
    return buffer.getvalue().encode("utf-8")


def read_csv(content: bytes, at_most: int) -> list[dict[str, Any]]:
    """The fields of the entries, still unchecked, and of one more than *at_most* where there are more.

    Raises ExchangeInvalid.
    """
    try:
        rows = _rows(content, at_most)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExchangeInvalid(f"no CSV in UTF-8: {error}") from error
    return [{name: _bare(text) for name, text in row.items() if _is_given(name, text)} for row in rows]


def _rows(content: bytes, at_most: int) -> list[dict[str | Any, str | Any]]:
    """Takes no more memory than entries that are as they should be."""
    lines = _Lines(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=""))
    reader = csv.DictReader(lines, strict=True)
    if reader.fieldnames is not None and sorted(reader.fieldnames) != sorted(COLUMNS):
        raise ExchangeInvalid(f"want the columns {', '.join(COLUMNS)}")
    rows = []
    lines.characters = 0
    for row in reader:
        rows.append(row)
        lines.characters = 0
        if len(rows) > at_most:
            break
    return rows


class _Lines:
    """The lines of a text; ``characters``: how many were given since it was last set to 0."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_ROW_CHARACTERS + 1)
        self.characters += len(line)
        if self.characters > MAX_ROW_CHARACTERS:
            raise ExchangeInvalid(f"a row of more than {MAX_ROW_CHARACTERS} characters")
        if not line:
            raise StopIteration
        return line


def _is_given(name: str | None, text: Any) -> bool:
    """Of what may be missing, an empty cell is none; cells too many or too few are left for the check of fields."""
    return text is not None and (text != "" or not (name and Entry.model_fields[name].default is None))


def _guarded(text: str) -> str:
    return GUARDED.sub("'", text)


def _bare(text: Any) -> Any:
    return GUARD.sub("", text) if isinstance(text, str) else text
