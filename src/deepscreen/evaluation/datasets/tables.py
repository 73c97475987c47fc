"""Plain folders and CSV files: what a laboratory's own media come in."""

from __future__ import annotations

from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import (
    BONA_FIDE_KIND,
    Item,
    Label,
    in_order,
    labelled_file,
    modality_of_name,
    read_table,
)
from deepscreen.report.wording import shown
from deepscreen.training.labelled import LabelledFile

CLASS_FOLDERS = {"real": 0, "bona_fide": 0, "bonafide": 0, "fake": 1, "spoof": 1}
LABELS = {**CLASS_FOLDERS, "bona-fide": 0, "genuine": 0, "0": 0, "1": 1}
UNNAMED = "(not named)"
MANIFEST_NAME = "manifest.csv"


def is_csv(path: Path) -> bool:
    """A CSV that names paths and labels, or a folder with such a ``manifest.csv``."""
    table = _table(path)
    return table is not None and {"path", "label"} <= set(_header(table))


def read_csv(path: Path) -> list[Item]:
    """``path,label[,source,generator,kind,group,audio_label,quality]``; paths relative to the CSV's folder.

    The manifests of ``deepscreen fit`` and ``deepscreen calibrate`` are such, with their other names for columns.
    """
    table = _table(path) or path
    rows = read_table(table, ("path", "label"))
    return in_order(_item(table, row) for row in rows)


def _item(table: Path, row: dict[str, str]) -> Item:
    label = _label(table, row, "label")
    file = LabelledFile(
        path=table.parent / row["path"],
        key=row["path"],
        label=label,
        kind=_first(row, "kind", "family") or ("spoof" if label else BONA_FIDE_KIND),
        generator=_first(row, "generator", "system") if label else row.get("generator", ""),
        source=_first(row, "source_repo", "source") or UNNAMED,
        group=row.get("group", ""),
        mask_path=None,
    )
    audio_label = _label(table, row, "audio_label") if row.get("audio_label") else None
    return Item(file, modality_of_name(file.path), audio_label, row.get("quality", ""))


def _first(row: dict[str, str], *names: str) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _label(table: Path, row: dict[str, str], column: str) -> int:
    text = row[column].strip().lower()
    if text not in LABELS:
        raise ConfigError(
            f"{shown(str(table))}: {shown(row['path'])} has {column} {shown(row[column])!r}; "
            f"want one of {', '.join(LABELS)}"
        )
    return LABELS[text]


def is_class_folders(path: Path) -> bool:
    """A folder with a folder for each class."""
    return path.is_dir() and {CLASS_FOLDERS[n.name] for n in path.iterdir() if n.name in CLASS_FOLDERS} == {0, 1}


def read_class_folders(root: Path) -> list[Item]:
    """``real|bona_fide|bonafide`` and ``fake|spoof``; a folder below one of them names the source."""
    items = []
    for name, label in CLASS_FOLDERS.items():
        for path in sorted((root / name).rglob("*")):
            if path.is_file() or path.is_symlink():
                parts = path.relative_to(root / name).parts
                source = f"{name}/{parts[0]}" if len(parts) > 1 else name
                said = Label(label, source, "spoof" if label else BONA_FIDE_KIND)
                items.append(Item(labelled_file(root, path, said), modality_of_name(path)))
    return in_order(items)


def _table(path: Path) -> Path | None:
    """The CSV itself, or that of a folder."""
    table = path / MANIFEST_NAME if path.is_dir() else path
    return table if table.is_file() and table.suffix.lower() == ".csv" else None


def _header(table: Path) -> list[str]:
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return [name.strip().strip('"') for name in stream.readline(65536).split(",")]
