"""What Deepscreen says about ``sample_media/``: logits, likelihood ratios, verdicts, evidence and coarse maps.

Run as a program (``make golden``) this renews the stored numbers and prints what changed: of fp32, which any processor
runs, and of bf16 where the processor has it (elsewhere a pass takes minutes, and what was stored of it is dropped).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backbone_readings
import numpy as np
from rich.console import Console
from rich.progress import track

from deepscreen.absence import NotScored
from deepscreen.detectors.contract import Detector, DetectorCard, SaliencyMap, Sample, Scored
from deepscreen.detectors.device import plan_compute
from deepscreen.errors import MediaError
from deepscreen.media.intake import take_in
from deepscreen.method import Method, load_method
from deepscreen.record import ModalityResult, Screening
from deepscreen.screened import Screened
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import load_settings

STORED = Path(__file__).with_name("screenings.json")
SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
COARSE_GRID = 7
# Of a spoof_logit or a cell of a coarse map, in nats: bf16 and fp32, and kernels of other processors, stay within it.
LOGIT_TOLERANCE = 0.15
OTHER_PRECISION_CELL_TOLERANCE = 0.5  # of a cell, where numbers of fp32 stand in for those of bf16: 0.33 was seen
REFERENCE = "fp32"
PRECISIONS = (REFERENCE, "bf16")
GENUINE_SOUND = ("spoof/face_swap_2s_to_4s.webm",)  # the picture is manipulated, the sound is not
Stored = dict[str, dict[str, Any]]  # precision -> file -> reading


@dataclass(frozen=True, slots=True)
class KeepingDetector:
    """A detector whose maps are kept: the record holds pictures of them only."""

    detector: Detector
    kept: dict[str, tuple[SaliencyMap, ...]]

    @property
    def card(self) -> DetectorCard:
        return self.detector.card

    def score(self, sample: Sample) -> Scored | NotScored:
        """As the detector."""
        outcome = self.detector.score(sample)
        if isinstance(outcome, Scored):
            self.kept[self.card.name] = outcome.maps
        return outcome


@dataclass(slots=True)
class GoldenDesk:
    """A desk of one precision that also gives the maps; close it at the end."""

    precision: str
    _maps: dict[str, tuple[SaliencyMap, ...]] = field(default_factory=dict, init=False)
    _desk: ScreeningDesk = field(init=False)

    def __post_init__(self) -> None:
        settings = load_settings(device="cpu", precision=self.precision)
        method: Method = load_method(settings)
        self._desk = ScreeningDesk(
            settings,
            detectors=tuple(KeepingDetector(detector, self._maps) for detector in method.detectors),
            scale=method.scale,
            provenance=method.provenance,
            yunet_path=method.yunet_path,
        )
        self.precision = method.provenance.precision

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        """The cards of the method's detectors."""
        return self._desk.cards

    def close(self) -> None:
        """Ends the decoder's processes."""
        self._desk.close()

    def screen(self, path: Path) -> Screened:
        """The screening of one file; raises MediaError."""
        return self._desk.screen(take_in(path, limits=self._desk.settings.limits))

    def read(self, path: Path) -> dict[str, Any]:
        """What is stored of one file."""
        self._maps.clear()
        try:
            screened = self.screen(path)
        except MediaError as error:
            return {"error": type(error).__name__}
        return {**_reading(screened.screening), "maps": dict(_coarse_maps(self._maps))}


def sample_files() -> list[Path]:
    """All samples, by name."""
    return sorted(path for path in SAMPLES.rglob("*") if path.is_file() and path.name != "README.md")


def name_of(path: Path) -> str:
    """The key that a sample is stored under."""
    return path.relative_to(SAMPLES).as_posix()


def coarse(values: np.ndarray[Any, np.dtype[np.float32]]) -> list[list[float]]:
    """Means over a grid of 7 x 7 cells, rounded to 2 decimals; for maps whose sides are multiples of 7."""
    rows, columns = values.shape
    blocks = values.reshape(COARSE_GRID, rows // COARSE_GRID, COARSE_GRID, columns // COARSE_GRID)
    return [[round(float(v), 2) for v in row] for row in blocks.mean(axis=(1, 3))]


def _reading(screening: Screening) -> dict[str, Any]:
    modalities = {name: _modality(result) for name, result in screening.modalities.items()}
    return {"overall": screening.overall.verdict.value, "modalities": modalities}


def _modality(result: ModalityResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict.value,
        "log10_lr": result.log10_lr,
        "spoof_logits": {r.detector: r.spoof_logit for r in result.readings},
        "reading_log10_lrs": {r.detector: r.log10_lr for r in result.readings},
        "not_scored": {n.detector: n.absence.value for n in result.not_scored},
        "evidence": [e.name for e in result.evidence],
    }


def _coarse_maps(kept: dict[str, tuple[SaliencyMap, ...]]) -> Iterator[tuple[str, list[list[float]]]]:
    for detector, maps in kept.items():
        for saliency in maps:
            yield f"{detector}, {saliency.subject}", coarse(saliency.values)


def load_stored() -> Stored:
    """The stored readings; empty where none were made yet."""
    stored: Stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    return stored


def changes(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """One line for each value that differs, named by its place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from changes(before.get(key), after.get(key), f"{place} / {key}" if place else key)
    elif isinstance(before, dict) or isinstance(after, dict):
        yield f"{place}: {'no longer there' if after is None else 'new'}"
    elif _is_grid(before) and _is_grid(after):
        moved = float(np.abs(np.subtract(after, before)).max())
        if moved > 0:
            yield f"{place}: largest change {moved:.2f}"
    elif before != after:
        yield f"{place}: {before} -> {after}"


def misses(files: dict[str, Any]) -> Iterator[str]:
    """One line for each detector and sample whose likelihood ratio lies on the wrong side of 1."""
    for name, reading in sorted(files.items()):
        for modality, result in reading.get("modalities", {}).items():
            is_spoof = name.startswith("spoof/") and not (modality == "audio" and name in GENUINE_SOUND)
            for detector, log10_lr in result["reading_log10_lrs"].items():
                if (log10_lr > 0) != is_spoof:
                    yield f"{name}: {detector} {log10_lr:+.2f}"


def _is_grid(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _stored_text(stored: Stored) -> str:
    """One line a file, so that a change shows as that file's line."""
    precisions = []
    for precision, files in sorted(stored.items()):
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(files.items()))
        precisions.append(f" {json.dumps(precision)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(precisions) + "\n}\n"


def native_precisions() -> Sequence[str]:
    """Those that this processor runs at their speed."""
    return PRECISIONS if plan_compute("cpu", "auto").precision == "bf16" else (REFERENCE,)


def reference(stored: Stored, precision: str) -> tuple[dict[str, Any], float]:
    """The readings to compare with, by file, and how far a cell of a coarse map may be from them."""
    if precision in stored:
        return stored[precision], LOGIT_TOLERANCE
    return stored[REFERENCE], OTHER_PRECISION_CELL_TOLERANCE


def main(arguments: Sequence[str] | None = None) -> int:
    """Renews the stored readings and says what changed; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="only this one (default: all)")
    parser.add_argument("--no-backbones", action="store_true", help="leave backbones.json as it is")
    options = parser.parse_args(arguments)
    before, after = load_stored(), load_stored()  # two, since one of them is changed
    if not options.precision:
        after.clear()
    for precision in options.precision or native_precisions():
        with closing(GoldenDesk(precision)) as desk:
            files = track(sample_files(), description=precision, console=Console(stderr=True))
            after[precision] = {name_of(path): desk.read(path) for path in files}
    lines = list(changes(before, after)) if before else []
    sys.stdout.write("\n".join(lines or ["no change" if before else "stored for the first time"]) + "\n")
    STORED.write_text(_stored_text(after), encoding="utf-8")
    for precision, read in after.items():
        sys.stdout.write("\n  ".join([f"on the wrong side of log10 LR 0, in {precision}:", *misses(read)]) + "\n")
    if not options.no_backbones:
        backbone_readings.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
