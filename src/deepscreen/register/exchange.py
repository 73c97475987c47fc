"""The register out and in: STIX 2.1, MISP, CSV. What comes in is hostile until every field of it is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from deepscreen.errors import ExchangeInvalid
from deepscreen.register.as_csv import read_csv, write_csv
from deepscreen.register.as_misp import read_misp, write_misp
from deepscreen.register.as_stix import read_stix, write_stix
from deepscreen.register.entry import Entry
from deepscreen.register.foreign import quoted
from deepscreen.register.rows import Kept

MAX_IMPORT_BYTES, MAX_IMPORTED = 32 * 1024 * 1024, 5_000
MAX_IMPORTED_REVISION = 100_000  # far below that of an entry, so that there is room for amendments here


class ExchangeFormat(StrEnum):
    """In what form the register is exchanged."""

    STIX = "stix"
    MISP = "misp"
    CSV = "csv"


MEDIA_TYPES: Mapping[ExchangeFormat, str] = {
    ExchangeFormat.STIX: "application/stix+json;version=2.1",
    ExchangeFormat.MISP: "application/json",
    ExchangeFormat.CSV: "text/csv",
}
SUFFIXES: Mapping[ExchangeFormat, str] = {
    ExchangeFormat.STIX: "stix.json",
    ExchangeFormat.MISP: "misp.json",
    ExchangeFormat.CSV: "csv",
}
WRITERS: Mapping[ExchangeFormat, Callable[[Sequence[Kept]], bytes]] = {
    ExchangeFormat.STIX: write_stix,
    ExchangeFormat.MISP: write_misp,
    ExchangeFormat.CSV: write_csv,
}


def written(shared: Sequence[Kept], file_format: ExchangeFormat) -> bytes:
    """The entries in this form."""
    return WRITERS[file_format](shared)


def read(content: bytes, file_format: ExchangeFormat) -> list[Entry]:
    """All entries in *content*, or none: raises ExchangeInvalid where it, or one of them, is not as it should be."""
    if len(content) > MAX_IMPORT_BYTES:
        raise ExchangeInvalid(f"{len(content)} bytes; at most {MAX_IMPORT_BYTES} are read")
    try:
        is_csv = file_format is ExchangeFormat.CSV
        listed = read_csv(content, MAX_IMPORTED) if is_csv else _from_json(content, file_format)
    except (AttributeError, KeyError, TypeError) as error:  # a number where a list is due, and the like
        raise ExchangeInvalid(f"not of the shape of {file_format}: {quoted(error)}") from error
    if len(listed) > MAX_IMPORTED:
        raise ExchangeInvalid(f"too many entries: at most {MAX_IMPORTED} are taken in at once")
    entries = [_checked(fields, number) for number, fields in enumerate(listed, 1)]
    if len({entry.id for entry in entries}) < len(entries):
        raise ExchangeInvalid("an entry is in it twice")
    return entries


def _from_json(content: bytes, file_format: ExchangeFormat) -> list[dict[str, Any]]:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ExchangeInvalid(f"no JSON: {type(error).__name__}") from error
    if not isinstance(found, dict | list):
        raise ExchangeInvalid("no JSON object")
    if file_format is ExchangeFormat.MISP:
        return read_misp(found)
    return read_stix(found if isinstance(found, dict) else {})


def _checked(fields: Mapping[str, Any], number: int) -> Entry:
    """Strings are read as what their fields are, as CSV and MISP know nothing else; raises ExchangeInvalid."""
    try:
        entry = Entry.model_validate(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "entry"
        raise ExchangeInvalid(f"entry {number}: {where}: {first['msg']}") from error
    if entry.revision > MAX_IMPORTED_REVISION:
        raise ExchangeInvalid(f"entry {number}: revision: at most {MAX_IMPORTED_REVISION} is taken in")
    return entry
