"""Reads labelled manifests (CSV): one row a file, with its label, kind, generator, source and group."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepscreen.errors import ConfigError

SPOOF_LABELS = {"fake": 1, "spoof": 1, "real": 0, "bonafide": 0}


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
    """All rows, in order of their key, so that nothing depends on the order of lines."""
    try:
        with manifest.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        files = [_labelled_file(manifest.parent, row) for row in rows]
    except (OSError, KeyError) as error:
        raise ConfigError(f"{manifest}: not a readable manifest ({error!r})") from error
    return sorted(files, key=lambda f: f.key)


def _labelled_file(folder: Path, row: dict[str, str]) -> LabelledFile:
    mask = row.get("mask_path") or ""
    return LabelledFile(
        path=folder / row["path"],
        key=row["path"],
        label=SPOOF_LABELS[row["label"]],
        kind=row.get("kind") or row["family"],
        generator=row.get("generator") or row.get("system") or "",
        source=row.get("source_repo") or row["source"],
        group=row["group"],
        mask_path=folder / mask if mask else None,
    )


def item_rng(key: str, purpose: str, seed: int) -> np.random.Generator:
    """A generator that depends on the item, the purpose and the seed alone, not on the order of work."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
