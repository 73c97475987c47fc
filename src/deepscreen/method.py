"""The method: detectors, calibrations and fusions with the digest that names them as a whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rfc8785

from deepscreen.detectors.contract import Detector
from deepscreen.detectors.device import ComputePlan, plan_compute
from deepscreen.detectors.registry import Workshop, build_detectors
from deepscreen.errors import CalibrationError
from deepscreen.record import Provenance
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.settings import Settings
from deepscreen.weights.store import WeightsStore

YUNET_NAME = "yunet"
CALIBRATION_KIND = "calibration"


@dataclass(frozen=True, slots=True)
class Method:
    """Loaded detectors, the scale that calibrates them, and what both are known by."""

    detectors: tuple[Detector, ...]
    scale: Scale
    provenance: Provenance
    yunet_path: Path | None


def load_method(settings: Settings) -> Method:
    """Proves and loads everything; raises WeightsError, CalibrationError or ConfigError."""
    store = WeightsStore.from_settings(settings)
    proven = {row.name: store.locate(row.name) for row in store.manifest.weights}
    plan = plan_compute(settings.device, settings.precision)
    detectors = build_detectors(Workshop(store, plan))
    scale = load_scale(store)
    _check_heads(scale, {name: weights.sha256 for name, weights in proven.items()}, detectors)
    hashes = {name: weights.sha256 for name, weights in sorted(proven.items())}
    return Method(detectors, scale, provenance(settings, plan, detectors, hashes), proven[YUNET_NAME].path)


def load_scale(store: WeightsStore) -> Scale:
    """All shipped calibrations and fusions."""
    calibrations, fusions = {}, {}
    for row in store.manifest.weights:
        if row.kind != CALIBRATION_KIND:
            continue
        path = store.locate(row.name).path
        if path.stem.endswith("_members"):
            fusion = Fusion.load(path)
            fusions[fusion.modality] = fusion
        else:
            calibration = Calibration.load(path)
            calibrations[calibration.detector] = calibration
    return Scale(calibrations, fusions)


def provenance(
    settings: Settings, plan: ComputePlan, detectors: tuple[Detector, ...], hashes: dict[str, str]
) -> Provenance:
    """By what results are made. The method digest covers everything that can change a number."""
    software = f"deepscreen {version('deepscreen')}"
    parts: dict[str, Any] = {
        "software": software,
        "detectors": {d.card.name: d.card.version for d in detectors},
        "weights": hashes,
        "settings": settings.digest(),
        "device_class": plan.device_class,
        "precision": plan.precision,
        "libraries": {name: version(name) for name in ("torch", "opencv-python", "av", "pillow", "librosa")},
    }
    return Provenance(
        software=software,
        method_digest=hashlib.sha256(rfc8785.dumps(parts)).hexdigest(),
        weights_sha256=hashes,
        settings_digest=settings.digest(),
        device_class=plan.device_class,
        precision=plan.precision,
    )


def fake_method(settings: Settings) -> Method:
    """FakeDetector for each modality, uncalibrated: for tests of everything around the networks."""
    from deepscreen.detectors.fake import FakeDetector

    detectors = (FakeDetector("image"), FakeDetector("video"), FakeDetector("audio"))
    plan = ComputePlan("cpu", "fp32", 1)
    return Method(detectors, Scale({}, {}), provenance(settings, plan, detectors, {}), None)


def _check_heads(scale: Scale, hashes: dict[str, str], detectors: tuple[Detector, ...]) -> None:
    """A calibration fitted on another head would turn right logits into wrong likelihood ratios."""
    known = set(hashes.values())
    for calibration in scale.calibrations.values():
        if not set(calibration.head_sha256.split("+")) <= known:
            raise CalibrationError(
                f"calibration of {calibration.detector} belongs to head {calibration.head_sha256[:12]}, which is not "
                "installed; run `deepscreen fit` again or reinstall deepscreen"
            )
    for detector in detectors:
        if detector.card.name not in scale.calibrations:
            raise CalibrationError(f"{detector.card.name} has no calibration in the manifest")
