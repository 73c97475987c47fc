"""Reads labelled manifests (CSV): one row a file, with its label, source, group, kind and generator."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepscreen.errors import ConfigError

SPOOF_LABELS = {"fake": 1, "spoof": 1, "real": 0, "bonafide": 0, "bona_fide": 0}


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One file of a manifest. ``label``: 1 = spoof, 0 = bona fide."""

    path: Path
    key: str  # path within the manifest's folder: stable across machines
    label: int
    kind: str
    generator: str
    source: str
    group: str
    mask_path: Path | None


def read_manifest(manifest: Path) -> list[LabelledFile]:
    """All rows of a development manifest, in order of their key, so that nothing depends on the order of lines."""
    return _read(manifest, {})


def read_local_manifest(manifest: Path) -> list[LabelledFile]:
    """The same of a lab's own manifest, where only ``path``, ``label`` and ``source`` are wanted."""
    files = _read(manifest, {"kind": "", "family": "", "group": ""})
    for file in files:
        if not file.source.strip():
            raise ConfigError(f"{manifest}: {file.key}: has no source; name the device, person or generator it is from")
    return files


def _read(manifest: Path, defaults: dict[str, str]) -> list[LabelledFile]:
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:  # spreadsheets begin a file with a mark
            rows = [defaults | {k: v for k, v in row.items() if v is not None} for row in csv.DictReader(stream)]
        files = [_labelled_file(manifest.parent, row) for row in rows]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{manifest}: not a readable manifest ({error!r})") from error
    return sorted(files, key=lambda f: f.key)


def _labelled_file(folder: Path, row: dict[str, str]) -> LabelledFile:
    mask = row.get("mask_path") or ""
    return LabelledFile(
        path=folder / row["path"],
        key=row["path"],
        label=_label(row),
        kind=row.get("kind") or row["family"],
        generator=row.get("generator") or row.get("system") or "",
        source=row.get("source_repo") or row["source"],
        group=row["group"],
        mask_path=folder / mask if mask else None,
    )


def _label(row: dict[str, str]) -> int:
    label = row["label"]
    if label not in SPOOF_LABELS:
        raise ConfigError(f"{row['path']}: label {label!r}, want one of {', '.join(sorted(SPOOF_LABELS))}")
    return SPOOF_LABELS[label]


def item_rng(key: str, purpose: str, seed: int) -> np.random.Generator:
    """A generator that depends on the item, the purpose and the seed alone, not on the order of work."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
