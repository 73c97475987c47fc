"""The register as CSV: one line an entry, safe to open in a spreadsheet, read again without a loss."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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
# A spreadsheet runs a cell that begins with one of these as a formula; an apostrophe before it keeps it from that.
GUARDED = ("'", "=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(shared: Sequence[Kept]) -> bytes:
    """UTF-8, a line of names first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for kept in shared:
        fields = kept.entry.model_dump(mode="json")
        writer.writerow([_guarded(str(fields[name] if fields[name] is not None else "")) for name in COLUMNS])
    return buffer.getvalue().encode("utf-8")


def read_csv(content: bytes) -> list[dict[str, Any]]:
    """The fields of the entries, still unchecked; raises ExchangeInvalid."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExchangeInvalid(f"no CSV in UTF-8: {error}") from error
    if rows and set(rows[0]) != set(COLUMNS):
        raise ExchangeInvalid(f"want the columns {', '.join(COLUMNS)}")
    return [{name: _bare(text) for name, text in row.items() if _is_given(name, text)} for row in rows]


def _is_given(name: str | None, text: Any) -> bool:
    """Of what may be missing, an empty cell is none; cells too many or too few are left for the check of fields."""
    return text is not None and (text != "" or not (name and Entry.model_fields[name].default is None))


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(GUARDED) else text


def _bare(text: Any) -> Any:
    return text[1:] if isinstance(text, str) and text.startswith("'") else text
