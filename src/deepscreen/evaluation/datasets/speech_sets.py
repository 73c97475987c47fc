"""Public sets of synthetic speech: ASVspoof 2019, 2021 and 5, In-the-Wild. Utterances of a speaker are one group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import (
    BONA_FIDE,
    SPOOF,
    Item,
    Label,
    below,
    in_order,
    labelled_file,
    read_columns,
    read_table,
)
from deepscreen.report.wording import shown

KEYS = {"bonafide": BONA_FIDE, "bona-fide": BONA_FIDE, "spoof": SPOOF}
SYNTHETIC_KIND = "synthetic_speech"
PROTOCOL_2019 = re.compile(r"ASVspoof2019\.(LA|PA)\.cm\.(train|dev|eval)\.(trn|trl)\.txt")
FOLDERS_5 = {
    "ASVspoof5.train.tsv": "flac_T",
    "ASVspoof5.dev.track_1.tsv": "flac_D",
    "ASVspoof5.eval.track_1.tsv": "flac_E_eval",
}
SCORED_PHASE_2021 = "eval"  # of the lines with a phase; "progress" and "hidden" are not part of the official figures
META_WILD = "meta.csv"


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a protocol file has what. ``codec``: -1 where it has none."""

    n_columns: int
    attack: int
    key: int
    codec: int = -1


COLUMNS_2019 = _Columns(5, attack=3, key=4)
COLUMNS_2021 = _Columns(8, attack=4, key=5, codec=2)
COLUMNS_5 = _Columns(9, attack=7, key=8, codec=3)


def is_asvspoof2019(root: Path) -> bool:
    """Its countermeasure protocols."""
    return bool(_protocols_2019(root))


def read_asvspoof2019(root: Path) -> list[Item]:
    """``[LA|PA/]ASVspoof2019_X_cm_protocols/*.txt`` with ``ASVspoof2019_X_PART/flac/`` beside; parts that are there."""
    items: list[Item] = []
    for path in _protocols_2019(root):
        access, part = PROTOCOL_2019.fullmatch(path.name).groups()[:2]  # type: ignore[union-attr]
        sounds = path.parent.parent / f"ASVspoof2019_{access}_{part}" / "flac"
        if sounds.is_dir():
            items += _items(root, path, sounds, f"ASVspoof 2019 {access} {part}", COLUMNS_2019)
    return _found(items, root, "ASVspoof2019_LA_eval/flac or another part's flac/ beside the protocols")


def _protocols_2019(root: Path) -> list[Path]:
    pattern = "ASVspoof2019_*_cm_protocols/*.txt"
    return [p for p in sorted([*root.glob(pattern), *root.glob(f"*/{pattern}")]) if PROTOCOL_2019.fullmatch(p.name)]


def is_asvspoof2021(root: Path) -> bool:
    """The keys that were published after the challenge."""
    return bool(_keys_2021(root))


def read_asvspoof2021(root: Path) -> list[Item]:
    """``[*/]keys/(LA|DF)/CM/trial_metadata.txt`` with ``[ASVspoof2021_X_eval/]flac/``; trials of the phase eval."""
    items: list[Item] = []
    for path in _keys_2021(root):
        task = path.parent.parent.name
        for sounds in (root / f"ASVspoof2021_{task}_eval" / "flac", root / "flac"):
            if sounds.is_dir():
                items += _items(root, path, sounds, f"ASVspoof 2021 {task}", COLUMNS_2021)
                break
    return _found(items, root, "ASVspoof2021_LA_eval/flac or ASVspoof2021_DF_eval/flac with trials of the phase eval")


def _keys_2021(root: Path) -> list[Path]:
    found = [*root.glob("keys/*/CM/trial_metadata.txt"), *root.glob("*/keys/*/CM/trial_metadata.txt")]
    return sorted(path for path in found if path.parent.parent.name in ("LA", "DF"))


def is_asvspoof5(root: Path) -> bool:
    """Its protocol files."""
    return any(_protocol_5(root, name) for name in FOLDERS_5)


def read_asvspoof5(root: Path) -> list[Item]:
    """``[ASVspoof5_protocols/]ASVspoof5.PART.tsv`` with its folder (``flac_E_eval``, ...); parts that are there."""
    items: list[Item] = []
    for name, folder in FOLDERS_5.items():
        path = _protocol_5(root, name)
        if path is not None and (root / folder).is_dir():
            items += _items(root, path, root / folder, f"ASVspoof 5 {folder}", COLUMNS_5)
    return _found(items, root, f"one of the folders {', '.join(FOLDERS_5.values())} beside its protocol file")


def _protocol_5(root: Path, name: str) -> Path | None:
    return next((p for p in (root / name, root / "ASVspoof5_protocols" / name) if p.is_file()), None)


def is_in_the_wild(root: Path) -> bool:
    """``meta.csv`` with the columns of the release."""
    try:
        with (root / META_WILD).open(encoding="utf-8-sig") as stream:
            return stream.readline(256).strip() == "file,speaker,label"
    except (OSError, UnicodeDecodeError):
        return False


def read_in_the_wild(root: Path) -> list[Item]:
    """``meta.csv`` (``file,speaker,label``), the sounds beside it."""
    listed = root / META_WILD
    rows = read_table(listed, ("file", "speaker", "label"))
    return in_order(
        _item(root, below(root, row["file"]), _key(listed, row["label"]), "In-the-Wild", "unknown", row["speaker"])
        for row in rows
    )


def _items(root: Path, protocol: Path, sounds: Path, source: str, columns: _Columns) -> Iterator[Item]:
    for row in read_columns(protocol, columns.n_columns):
        if columns is COLUMNS_2021 and row[7] != SCORED_PHASE_2021:
            continue
        label = _key(protocol, row[columns.key])
        codec = row[columns.codec] if columns.codec >= 0 else ""
        path = below(sounds, f"{row[1]}.flac")
        yield _item(root, path, label, source, row[columns.attack], row[0], "no codec" if codec == "-" else codec)


def _item(root: Path, path: Path, label: int, source: str, attack: str, speaker: str, quality: str = "") -> Item:
    group = f"{source} {speaker}"
    said = Label(SPOOF, source, SYNTHETIC_KIND, attack, group) if label else Label(BONA_FIDE, source, group=group)
    return Item(labelled_file(root, path, said), "audio", quality=quality)


def _key(listed: Path, text: str) -> int:
    if text not in KEYS:
        raise ConfigError(f"{shown(str(listed))}: want the keys bonafide and spoof, got {shown(text)!r}")
    return KEYS[text]


def _found(items: list[Item], root: Path, wanted: str) -> list[Item]:
    if not items:
        raise ConfigError(f"{shown(str(root))}: has protocol files but no sounds; want {wanted}")
    return in_order(items)
