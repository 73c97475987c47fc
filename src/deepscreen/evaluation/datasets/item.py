"""A labelled file of a data set, and what all readers of data sets share."""

from __future__ import annotations

import csv
import itertools
import mimetypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.record import ModalityName
from deepscreen.report.wording import shown
from deepscreen.training.labelled import LabelledFile

BONA_FIDE, SPOOF = 0, 1
BONA_FIDE_KIND = "bona fide"  # where a data set has no word of its own for what such files show


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled file. ``file.label`` is of the picture, or of the sound where the file is nothing but sound."""

    file: LabelledFile
    modality: ModalityName  # as the data set or the name says; what counts is what the content turns out to be
    audio_label: int | None = None  # of a video's sound track; None where the data set does not tell
    quality: str = ""  # the data set's own word (compression level, codec); empty: it is measured


@dataclass(frozen=True, slots=True)
class Label:
    """What a data set says of a file. ``group``: who or what ties it to others; empty where nothing does."""

    label: int
    source: str
    kind: str = BONA_FIDE_KIND
    generator: str = ""
    group: str = ""


def labelled_file(root: Path, path: Path, said: Label) -> LabelledFile:
    """The record of *path*, which lies below *root*."""
    key = path.relative_to(root).as_posix()
    return LabelledFile(path, key, said.label, said.kind, said.generator, said.source, said.group, None)


def in_order(items: Iterable[Item]) -> list[Item]:
    """Items by key, so that nothing depends on the order of folders; raises ConfigError where a key comes twice."""
    ordered = sorted(items, key=lambda item: item.file.key)
    for before, after in itertools.pairwise(ordered):
        if before.file.key == after.file.key:
            raise ConfigError(f"{shown(after.file.key)}: is listed twice; keep one line")
    return ordered


def modality_of_name(path: Path) -> ModalityName:
    """A guess from the name alone, for files that cannot be opened; what has no known name counts as a picture."""
    kind = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    return "video" if kind == "video" else "audio" if kind == "audio" else "image"


def read_table(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV with a header; raises ConfigError where it cannot be read or lacks a *wanted* column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets begin a file with a mark
            reader = csv.DictReader(stream)
            rows = [{name: value or "" for name, value in row.items() if name is not None} for row in reader]
            names = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{shown(str(path))}: not a readable CSV ({error})") from error
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ConfigError(
            f"{shown(str(path))}: want the columns {', '.join(wanted)}; missing: {', '.join(missing)}; "
            f"found: {', '.join(map(shown, names)) or 'none'}"
        )
    return rows


def read_columns(path: Path, n_columns: int) -> list[list[str]]:
    """Lines of a protocol file, split at white space; raises ConfigError for a line with fewer than *n_columns*."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(str(path))}: not a readable protocol file ({error})") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        row = line.split()
        if row and len(row) < n_columns:
            raise ConfigError(f"{shown(str(path))}, line {number}: want {n_columns} columns, got {len(row)}")
        if row:
            rows.append(row)
    return rows


def below(root: Path, stored: str) -> Path:
    """The file that a data set's own list names; raises ConfigError for a name that leads out of *root*."""
    path = root / stored.replace("\\", "/")
    if not path.is_relative_to(root) or ".." in path.relative_to(root).parts:
        raise ConfigError(f"{shown(stored)}: leads out of {shown(str(root))}; want a path relative to it")
    return path
