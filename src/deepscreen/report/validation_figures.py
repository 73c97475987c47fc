"""Error rates of the installed method on its validation sets, for reports: only for records that this method made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import WeightsError
from deepscreen.record import Screening
from deepscreen.weights.manifest import load_manifest
from deepscreen.weights.store import shipped_dir

PROTOCOLS = ("source-held-out, all", "release split, all")


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """One detector under one protocol; rates in [0, 1] with their 95 % intervals, None where not measured."""

    detector: str
    protocol: str
    n_spoof: int
    n_bona_fide: int
    n_sources: int
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    eer: float | None
    eer_low: float | None
    eer_high: float | None
    cllr: float | None


def error_rates(screening: Screening, folder: Path | None = None) -> tuple[ErrorRates, ...]:
    """Rates of the detectors that gave a reading; nothing where the installed weights are not those of the record.

    ``folder``: that of manifest and ``reports/``, by default the installed one.
    """
    folder = folder or shipped_dir()
    if not _is_method_of(screening, folder):
        return ()
    names = dict.fromkeys(r.detector for result in screening.modalities.values() for r in result.readings)
    return tuple(rates for name in names for rates in _of_detector(name, folder / "reports" / f"{name}.json"))


def rates_of_detector(name: str, folder: Path | None = None) -> tuple[ErrorRates, ...]:
    """Rates of one detector as its report gives them; nothing where there is no report."""
    return tuple(_of_detector(name, (folder or shipped_dir()) / "reports" / f"{name}.json"))


def _is_method_of(screening: Screening, folder: Path) -> bool:
    """Whether heads and calibrations of the record are the installed ones."""
    try:
        rows = load_manifest(folder / "manifest.toml").weights
    except WeightsError:
        return False
    used = screening.provenance.weights_sha256
    return bool(used) and all(used.get(row.name) == row.sha256 for row in rows if row.is_shipped)


def _of_detector(name: str, path: Path) -> Sequence[ErrorRates]:
    with suppress(OSError, ValueError):
        protocols = json.loads(path.read_text(encoding="utf-8")).get("protocols", {})
        return [_rates(name, protocol, protocols[protocol]) for protocol in PROTOCOLS if protocol in protocols]
    return []


def _rates(name: str, protocol: str, figures: dict[str, float]) -> ErrorRates:
    return ErrorRates(
        detector=name,
        protocol=protocol,
        n_spoof=int(figures["n_spoof"]),
        n_bona_fide=int(figures["n_bona_fide"]),
        n_sources=int(figures["n_sources"]),
        auc=figures.get("auc"),
        auc_low=figures.get("auc_low"),
        auc_high=figures.get("auc_high"),
        eer=figures.get("eer"),
        eer_low=figures.get("eer_low"),
        eer_high=figures.get("eer_high"),
        cllr=figures.get("cllr"),
    )
