"""``deepscreen calibrate`` as a whole: a lab's media in, its calibration and the validation report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from deepscreen.errors import ConfigError, TooFewItems
from deepscreen.evaluation.protocols import joined_clusters
from deepscreen.evaluation.validation_page import validation_page
from deepscreen.evaluation.validation_report import ValidationReport, validate
from deepscreen.method import Method, recalibrated
from deepscreen.report.wording import shown
from deepscreen.scanning.single import ScannedFile
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.lab_calibration import INDEX_NAME, LabCalibration, LabName, lab_calibration
from deepscreen.screening import ScreeningDesk
from deepscreen.training.lab_fit import (
    MIN_ITEMS_PER_LABEL,
    MIN_SOURCES_PER_LABEL,
    Enough,
    ModalityFit,
    deciding,
    enough_of,
    fit_modality,
)
from deepscreen.training.lab_media import LabItem, LabMedia, screen_labelled
from deepscreen.training.labelled import read_local_manifest

PAGE_NAME, REPORT_NAME, SCREENED_NAME = "validation.html", "validation.json", "screened"
LEAST = (
    f"a calibration needs at least {MIN_ITEMS_PER_LABEL} bona fide and {MIN_ITEMS_PER_LABEL} spoof items, each from at "
    f"least {MIN_SOURCES_PER_LABEL} sources; add media"
)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was written, and the modalities that were not calibrated with what they lacked."""

    lab: LabCalibration
    report: ValidationReport
    refused: dict[str, str]


def check_request(manifest: Path, out_dir: Path, name: str) -> int:
    """Refuses, before anything heavy is loaded, what cannot come to a good end; gives the number of files.

    Raises ConfigError (a wrong name, an unreadable manifest, a folder that holds a calibration) or TooFewItems.
    """
    try:
        TypeAdapter(LabName).validate_python(name)
    except ValidationError as error:
        raise ConfigError(
            f"--name {shown(name)}: want 1 to 80 letters, digits, spaces or . , & ( ) / + - _, first a letter or digit"
        ) from error
    if (out_dir / INDEX_NAME).exists():
        raise ConfigError(f"{out_dir}: holds a calibration that records may name; choose another --out")
    files = read_local_manifest(manifest)
    clusters = joined_clusters([f.source for f in files], [f.group for f in files])
    missing = Enough.of((f.label, c) for f, c in zip(files, clusters, strict=True)).missing
    if missing:
        raise TooFewItems(f"{manifest}: has {missing}; {LEAST}")
    return len(files)


def calibrate(
    manifest: Path,
    out_dir: Path,
    name: str,
    *,
    method: Method,
    desk: ScreeningDesk,
    on_file: Callable[[ScannedFile], None],
) -> Calibrated:
    """Screens, fits, validates and writes; *method* and *desk* are the shipped ones.

    Raises what ``check_request`` raises, and TooFewItems where no modality has enough scored items.
    """
    check_request(manifest, out_dir, name)
    out_dir.mkdir(parents=True, exist_ok=True)
    media = screen_labelled(manifest, desk, out_dir / SCREENED_NAME, on_file)
    fits, refused = fit_all(media, method.scale)
    lab = _joined(name, fits)
    policy = desk.settings.policy
    report = validate(media, fits, refused, shipped=method, lab=recalibrated(method, lab), policy=policy)
    (out_dir / REPORT_NAME).write_text(report.as_json(), encoding="utf-8")
    (out_dir / PAGE_NAME).write_text(validation_page(report), encoding="utf-8", errors="backslashreplace")
    for file_name, content in lab.files().items():
        (out_dir / file_name).write_bytes(content)
    return Calibrated(lab, report, refused)


def fit_all(media: LabMedia, shipped: Scale) -> tuple[list[ModalityFit], dict[str, str]]:
    """The fits by modality, and what those without one lacked; raises TooFewItems where there is none at all."""
    fits, refused = [], {}
    for modality in sorted({item.modality for item in media.items}):
        items = [item for item in media.items if item.modality == modality]
        fit = fit_modality(items, shipped)
        if fit is not None:
            fits.append(fit)
        else:
            refused[str(modality)] = _lacked(items, shipped)
    if not fits:
        found = "; ".join(f"{modality}: {lacked}" for modality, lacked in refused.items()) or "no file was screened"
        raise TooFewItems(f"too little could be scored: {found}; {LEAST}")
    return fits, refused


def _lacked(items: Sequence[LabItem], shipped: Scale) -> str:
    wanted = deciding(items, shipped)
    lacks = [f"{s.title} {e.missing}" for s, e in enough_of(items, shipped).items() if s.calibration in wanted]
    return "; ".join(lacks) or "no reading that a calibration belongs to"


def _joined(name: str, fits: Sequence[ModalityFit]) -> LabCalibration:
    """Only what was fitted goes into the folder; the rest stays the installation's."""
    subjects = [(fit, subject) for fit in fits for subject in fit.fitted]
    calibrations = {s.calibration: fit.scale.calibrations[s.calibration] for fit, s in subjects}
    strata = {stem: tuple(s.stratum for _, s in subjects if s.calibration == stem) for stem in calibrations}
    fusions = {fit.modality: fit.scale.fusions[fit.modality] for fit in fits if fit.modality in fit.scale.fusions}
    return lab_calibration(name, calibrations, fusions, strata)
