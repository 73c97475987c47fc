"""The method: detectors, calibrations and fusions with the digest that names them as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rfc8785

from deepscreen.detectors.catalogue.rows import Catalogue, load_catalogue
from deepscreen.detectors.contract import Detector
from deepscreen.detectors.device import ComputePlan, plan_compute
from deepscreen.errors import CalibrationError, ConfigError, ManifestInvalid
from deepscreen.record import Provenance
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.scoring.lab_calibration import LabCalibration, load_lab_calibration
from deepscreen.settings import Profile, Settings
from deepscreen.weights.store import WeightsStore

YUNET_NAME = "yunet"
CALIBRATION_KIND = "calibration"
NO_PLUGINS = Catalogue()
MAX_TRUST_LIST_BYTES = 96 * 1024  # it travels to the decoder in one message


@dataclass(frozen=True, slots=True)
class Method:
    """Loaded detectors, the scale that calibrates them, and what both are known by."""

    detectors: tuple[Detector, ...]
    scale: Scale
    provenance: Provenance  # under the default profile: see ``under_profile``
    yunet_path: Path | None


def load_method(settings: Settings) -> Method:
    """Proves and loads everything; raises WeightsError, CalibrationError or ConfigError."""
    # Here: the registry knows every network, and with them torch, which is for those alone that load a method.
    from deepscreen.detectors.registry import OFF_BY_DEFAULT, Workshop, build_detectors, build_plugins

    store, catalogue = WeightsStore.from_settings(settings), load_catalogue(settings.catalogue)
    proven = {row.name: store.locate(row.name) for row in store.manifest.weights}
    plan = plan_compute(settings.device, settings.precision)
    scale = load_scale(store)
    _check_plugin_names(catalogue, scale)
    detectors = build_detectors(Workshop(store, plan), settings.switched_on)
    calibrated = [detector for detector in detectors if detector.card.name not in OFF_BY_DEFAULT]
    _check_heads(scale, {name: weights.sha256 for name, weights in proven.items()}, calibrated)
    detectors += build_plugins(catalogue, plan)
    hashes = {name: weights.sha256 for name, weights in sorted(proven.items())}
    known_by = provenance(settings, plan, detectors, hashes, catalogue)
    method = Method(detectors, scale, known_by, proven[YUNET_NAME].path)
    if settings.calibration_dir is None:
        return method
    return recalibrated(method, load_lab_calibration(settings.calibration_dir))


def recalibrated(method: Method, lab: LabCalibration) -> Method:
    """*method* with a lab's calibration in place of the shipped one, which gives it a digest of its own.

    Raises CalibrationError where the lab's calibration does not belong to the method's heads.
    """
    parts = {"method": method.provenance.method_digest, "lab_calibration": lab.sha256}
    digest = hashlib.sha256(rfc8785.dumps(parts)).hexdigest()
    known_by = method.provenance.model_copy(update={"method_digest": digest, "lab_calibration": lab.used})
    return replace(method, scale=lab.over(method.scale), provenance=known_by)


def under_profile(known_by: Provenance, profile: Profile) -> Provenance:
    """*known_by*, that of a method under the default profile, as it is under *profile*: another digest, and named."""
    if profile == "default":
        return known_by
    parts = {"method": known_by.method_digest, "profile": profile}
    digest = hashlib.sha256(rfc8785.dumps(parts)).hexdigest()
    return known_by.model_copy(update={"method_digest": digest, "profile": profile})


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
    settings: Settings,
    plan: ComputePlan,
    detectors: tuple[Detector, ...],
    hashes: dict[str, str],
    catalogue: Catalogue = NO_PLUGINS,
) -> Provenance:
    """By what results are made. The method digest covers everything that can change a number."""
    hashes = {**hashes, **catalogue.hashes}
    software = f"deepscreen {version('deepscreen')}"
    parts: dict[str, Any] = {
        "software": software,
        "detectors": {d.card.name: d.card.version for d in detectors},
        "weights": hashes,
        "settings": settings.digest(),
        "device_class": plan.device_class,
        "precision": plan.precision,
        "libraries": {
            name: version(name) for name in ("torch", "opencv-python", "av", "pillow", "librosa", "c2pa-python")
        },
    }
    if settings.c2pa_trust_list is not None:
        parts["c2pa_trust_list"] = _sha256_of(settings.c2pa_trust_list)
    if catalogue.plugin:  # the digest of a method without plug-ins stays what it was before there were any
        parts["plugins"] = {row.name: row.method_facts() for row in catalogue.plugin}
        parts["libraries"]["transformers"] = version("transformers")
    return Provenance(
        software=software,
        method_digest=hashlib.sha256(rfc8785.dumps(parts)).hexdigest(),
        weights_sha256=hashes,
        settings_digest=settings.digest(),
        device_class=plan.device_class,
        precision=plan.precision,
    )


def _sha256_of(trust_list: Path) -> str:
    try:
        content = trust_list.read_bytes()
    except OSError as error:
        raise ConfigError(f"{trust_list}: the trust list cannot be read: {error.strerror} (c2pa_trust_list)") from error
    if len(content) > MAX_TRUST_LIST_BYTES or not content.isascii():
        raise ConfigError(f"{trust_list}: no PEM file of at most {MAX_TRUST_LIST_BYTES} bytes (c2pa_trust_list)")
    return hashlib.sha256(content).hexdigest()


def fake_method(settings: Settings) -> Method:
    """FakeDetector for each modality, uncalibrated: for tests of everything around the networks."""
    from deepscreen.detectors.fake import FakeDetector

    detectors = (FakeDetector("image"), FakeDetector("video"), FakeDetector("audio"))
    plan = ComputePlan("cpu", "fp32", 1)
    return Method(detectors, Scale({}, {}), provenance(settings, plan, detectors, {}), None)


def _check_heads(scale: Scale, hashes: dict[str, str], calibrated: Sequence[Detector]) -> None:
    """A calibration fitted on another head would turn right logits into wrong likelihood ratios."""
    known = set(hashes.values())
    for calibration in scale.calibrations.values():
        if not set(calibration.head_sha256.split("+")) <= known:
            raise CalibrationError(
                f"calibration of {calibration.detector} belongs to head {calibration.head_sha256[:12]}, which is not "
                "installed; run `deepscreen fit` again or reinstall deepscreen"
            )
    for detector in calibrated:
        if detector.card.name not in scale.calibrations:
            raise CalibrationError(f"{detector.card.name} has no calibration in the manifest")


def _check_plugin_names(catalogue: Catalogue, scale: Scale) -> None:
    """A plug-in that took the name of a detector or fusion would take its calibration as well."""
    taken = sorted({row.name for row in catalogue.plugin} & set(scale.calibrations))
    if taken:
        raise ManifestInvalid(f"plug-ins {', '.join(taken)}: the name is Deepscreen's own; choose another one")
