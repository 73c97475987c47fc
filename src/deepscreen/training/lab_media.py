"""Screens a lab's labelled media: each file's readings under the shipped method, and what was left out for what."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.evaluation.protocols import joined_clusters
from deepscreen.kept import KeptResults
from deepscreen.record import ModalityName, ModalityResult
from deepscreen.report.wording import shown
from deepscreen.scanning.single import ScannedFile, scan_file
from deepscreen.screening import ScreeningDesk
from deepscreen.training.labelled import read_local_manifest

REPEATED = "same content as another row"


@dataclass(frozen=True, slots=True)
class LabItem:
    """A labelled file that was screened. ``label``: 1 = spoof, 0 = bona fide.

    ``cluster``: its source, joined with every source that a common group ties to it. ``result``: that of its own kind;
    a label says nothing of the sound track of a video.
    """

    key: str
    label: int
    source: str
    cluster: str
    modality: ModalityName
    result: ModalityResult


@dataclass(frozen=True, slots=True)
class LabMedia:
    """The screened items, and how many rows of the manifest were left out for which reason."""

    manifest_sha256: str
    n_listed: int
    items: tuple[LabItem, ...]
    left_out: Mapping[str, int]


def screen_labelled(
    manifest: Path, desk: ScreeningDesk, kept_dir: Path, on_file: Callable[[ScannedFile], None]
) -> LabMedia:
    """Screens every file of *manifest*; results are kept in *kept_dir*, where an interrupted run goes on.

    Raises ConfigError where the manifest cannot be read, or gives one content two labels.
    """
    files = read_local_manifest(manifest)
    clusters = joined_clusters([f.source for f in files], [f.group for f in files])
    kept = KeptResults(kept_dir, desk.provenance)
    items: dict[str, LabItem] = {}
    left_out: Counter[str] = Counter()
    for file, cluster in zip(files, clusters, strict=True):
        scanned = scan_file(Path(), file.path, desk, kept)
        on_file(scanned)
        if scanned.screening is None:
            left_out[type(scanned.error).__name__] += 1
            continue
        media = scanned.screening.media
        item = LabItem(file.key, file.label, file.source, cluster, media.kind, scanned.screening.modalities[media.kind])
        if media.sha256 in items:
            _check_same_label(items[media.sha256], item)
            left_out[REPEATED] += 1
        else:
            items[media.sha256] = item
    sha256 = hashlib.sha256(manifest.read_bytes()).hexdigest()
    return LabMedia(sha256, len(files), tuple(items.values()), dict(sorted(left_out.items())))


def _check_same_label(first: LabItem, second: LabItem) -> None:
    if first.label != second.label:
        raise ConfigError(
            f"{shown(first.key)} and {shown(second.key)} hold the same bytes but have different labels; correct one"
        )
