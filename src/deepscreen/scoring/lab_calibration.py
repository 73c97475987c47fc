"""A lab's own calibration: a folder that ``deepscreen calibrate`` wrote, used in place of the shipped calibrations.

``calibration.json`` names it and holds the digest of each of its files; the sha256 of ``calibration.json`` is therefore
what a record knows the whole by. Heads are never part of it: every calibration names the head that it belongs to.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from deepscreen.errors import CalibrationError
from deepscreen.record import LabCalibrationUsed, ModalityName
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.fusion import Fusion, Scale

INDEX_NAME = "calibration.json"
WHAT_TO_DO = (
    "run `deepscreen calibrate` again on the lab's media, or unset DEEPSCREEN_CALIBRATION_DIR to use the shipped ones"
)
LabName = Annotated[str, StringConstraints(pattern=r"^\w[\w .,&()/+-]{0,79}$")]
Stem = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListedCalibration(_Part):
    """A calibration file of the folder; strata that are not among the fitted ones are copies of the shipped ones."""

    sha256: Sha256
    fitted_strata: tuple[str, ...] = Field(min_length=1)


class Index(_Part):
    """``calibration.json``: files by the name of their detector or fusion (<name>.json, <modality>_members.json)."""

    schema_version: Literal[1] = 1
    name: LabName
    calibrations: dict[Stem, ListedCalibration] = Field(min_length=1)
    members: dict[ModalityName, Sha256]

    def as_bytes(self) -> bytes:
        """The file's content; the same for the same calibration."""
        return self.model_dump_json(indent=1).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class LabCalibration:
    """What a lab puts in place of the shipped calibrations and fusions, and by what name and digest it is known."""

    index: Index
    calibrations: Mapping[str, Calibration]
    fusions: Mapping[ModalityName, Fusion]

    @property
    def sha256(self) -> str:
        """Of ``calibration.json``."""
        return hashlib.sha256(self.index.as_bytes()).hexdigest()

    @property
    def used(self) -> LabCalibrationUsed:
        """How a record names it."""
        fitted = {name: listed.fitted_strata for name, listed in self.index.calibrations.items()}
        return LabCalibrationUsed(name=self.index.name, sha256=self.sha256, fitted_strata=fitted)

    def over(self, shipped: Scale) -> Scale:
        """*shipped* with these in place; raises CalibrationError where they do not belong to the installed heads."""
        for name, calibration in self.calibrations.items():
            _check_belongs(calibration, shipped.calibrations.get(name))
        for modality, fusion in self.fusions.items():
            _check_same_members(fusion, shipped.fusions.get(modality))
        fusions = {str(modality): fusion for modality, fusion in self.fusions.items()}
        return Scale({**shipped.calibrations, **self.calibrations}, {**shipped.fusions, **fusions})

    def files(self) -> dict[str, bytes]:
        """Content by file name; ``calibration.json`` last, so that a folder that holds it is whole."""
        return {**_contents(self.calibrations, self.fusions), INDEX_NAME: self.index.as_bytes()}


def lab_calibration(
    name: str,
    calibrations: Mapping[str, Calibration],
    fusions: Mapping[ModalityName, Fusion],
    fitted_strata: Mapping[str, tuple[str, ...]],
) -> LabCalibration:
    """A lab's calibration from its fitted parts, all of them by detector, fusion or modality name."""
    contents = _contents(calibrations, fusions)
    digests = {file_name: hashlib.sha256(content).hexdigest() for file_name, content in contents.items()}
    index = Index(
        name=name,
        calibrations={
            stem: ListedCalibration(sha256=digests[_calibration_file(stem)], fitted_strata=fitted_strata[stem])
            for stem in sorted(calibrations)
        },
        members={modality: digests[_members_file(modality)] for modality in sorted(fusions)},
    )
    return LabCalibration(index, calibrations, fusions)


def load_lab_calibration(folder: Path) -> LabCalibration:
    """The calibration in *folder*, every file proven; raises CalibrationError that names the file and what to do."""
    content = _read(folder / INDEX_NAME)
    try:
        index = Index.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "content"
        raise CalibrationError(f"{folder / INDEX_NAME}: {place}: {first['msg']}; {WHAT_TO_DO}") from error
    if index.as_bytes() != content:  # the digest in records is that of the file as it lies there
        raise CalibrationError(f"{folder / INDEX_NAME}: was changed after it was written; {WHAT_TO_DO}")
    calibrations, fusions = {}, {}
    for name, listed in index.calibrations.items():
        calibration = Calibration.load(_proven(folder / _calibration_file(name), listed.sha256))
        _check_usable(calibration, name, listed.fitted_strata)
        calibrations[name] = calibration
    for modality, sha256 in index.members.items():
        fusions[modality] = Fusion.load(_proven(folder / _members_file(modality), sha256))
    return LabCalibration(index, calibrations, fusions)


def _calibration_file(name: str) -> str:
    return f"{name}.json"


def _members_file(modality: str) -> str:
    return f"{modality}_members.json"


def _contents(calibrations: Mapping[str, Calibration], fusions: Mapping[ModalityName, Fusion]) -> dict[str, bytes]:
    contents = {_calibration_file(name): calibrations[name].as_json().encode() for name in sorted(calibrations)}
    return contents | {_members_file(modality): fusions[modality].as_json().encode() for modality in sorted(fusions)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror}); {WHAT_TO_DO}") from error


def _proven(path: Path, sha256: str) -> Path:
    found = hashlib.sha256(_read(path)).hexdigest()
    if found != sha256:
        raise CalibrationError(f"{path}: expected sha256 {sha256}, found {found}; {WHAT_TO_DO}")
    return path


def _check_usable(calibration: Calibration, name: str, fitted_strata: tuple[str, ...]) -> None:
    if calibration.detector != name:
        raise CalibrationError(f"{name}.json: is a calibration of {calibration.detector!r}; {WHAT_TO_DO}")
    if not set(fitted_strata) <= set(calibration.strata):
        raise CalibrationError(f"{name}.json: lacks strata of {fitted_strata}; {WHAT_TO_DO}")
    broken = [stratum for stratum, fit in calibration.strata.items() if not _is_usable(fit)]
    if broken:
        raise CalibrationError(f"{name}.json: stratum {broken[0]!r} holds figures that cannot be; {WHAT_TO_DO}")


def _is_usable(fit: Stratum) -> bool:
    figures = [fit.slope, fit.offset, *(figure for one in fit.bootstrap for figure in one)]
    return bool(fit.bootstrap) and fit.slope >= 0 and fit.n_sources > 0 and all(map(math.isfinite, figures))


def _check_belongs(calibration: Calibration, shipped: Calibration | None) -> None:
    name = calibration.detector
    if shipped is None:
        raise CalibrationError(f"the lab's calibration of {name} belongs to no installed detector; {WHAT_TO_DO}")
    if calibration.head_sha256 != shipped.head_sha256:
        raise CalibrationError(
            f"the lab's calibration of {name} belongs to head {calibration.head_sha256[:12]}, but "
            f"{shipped.head_sha256[:12]} is installed; {WHAT_TO_DO}"
        )
    if set(calibration.strata) != set(shipped.strata):
        raise CalibrationError(
            f"the lab's calibration of {name} has strata {sorted(calibration.strata)}, want {sorted(shipped.strata)}; "
            f"{WHAT_TO_DO}"
        )


def _check_same_members(fusion: Fusion, shipped: Fusion | None) -> None:
    if shipped is None or set(fusion.members) != set(shipped.members):
        raise CalibrationError(f"the lab's fusion of {fusion.modality} joins other detectors; {WHAT_TO_DO}")
