"""A folder with a lab's calibration: proven, held against the installed heads, shown by `info`."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from lab_samples import HEAD, OTHER_HEAD, SETTINGS, SHIPPED, scale_of

from deepscreen.cli_info import print_info
from deepscreen.errors import CalibrationError
from deepscreen.method import load_method
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.scoring.lab_calibration import INDEX_NAME, lab_calibration, load_lab_calibration
from deepscreen.settings import Settings, load_settings


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    """A folder as it is written, of one calibration and one fusion."""
    fitted = dataclasses.replace(SHIPPED, slope=0.9, offset=0.0)
    fusion = Fusion("image", ("a", "b"), "a", (), 0.0)
    lab = lab_calibration("lab", {"a": Calibration("a", HEAD, {"all": fitted})}, {"image": fusion}, {"a": ("all",)})
    for name, content in lab.files().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_lab_calibration_takes_the_place_of_its_own_detectors_only(lab_folder: Path) -> None:
    shipped = scale_of("a", "b", fusion=Fusion("image", ("a", "b"), "a", (0.7, 0.4), 0.1))
    scale = load_lab_calibration(lab_folder).over(shipped)
    assert scale.calibrations["a"].strata["all"].slope == 0.9
    assert scale.calibrations["b"] is shipped.calibrations["b"]
    assert scale.fusions["image"].coefficients == ()


@pytest.mark.parametrize(
    ("head", "strata", "message"),
    [
        (OTHER_HEAD, ("all",), f"belongs to head {HEAD[:12]}, but {OTHER_HEAD[:12]} is installed; run `deepscreen cal"),
        (HEAD, ("all", "more"), "has strata .*want"),
    ],
)
def test_lab_calibration_of_another_head_is_refused(
    lab_folder: Path, head: str, strata: tuple[str, ...], message: str
) -> None:
    installed = Scale({"a": Calibration("a", head, dict.fromkeys(strata, SHIPPED))}, {})
    with pytest.raises(CalibrationError, match=message):
        load_lab_calibration(lab_folder).over(installed)


def test_lab_calibration_of_a_detector_that_is_gone_is_refused(lab_folder: Path) -> None:
    with pytest.raises(CalibrationError, match="belongs to no installed detector"):
        load_lab_calibration(lab_folder).over(scale_of("b"))


def test_lab_fusion_of_other_detectors_is_refused(lab_folder: Path) -> None:
    with pytest.raises(CalibrationError, match="joins other detectors"):
        load_lab_calibration(lab_folder).over(scale_of("a"))


@pytest.mark.parametrize("name", ["a.json", "image_members.json"])
def test_changed_or_missing_file_is_refused_by_name(lab_folder: Path, name: str) -> None:
    (lab_folder / name).write_text((lab_folder / name).read_text() + " ")
    with pytest.raises(CalibrationError, match=rf"{name}: expected sha256 \w+, found \w+; run `deepscreen calibrate`"):
        load_lab_calibration(lab_folder)
    (lab_folder / name).unlink()
    with pytest.raises(CalibrationError, match=f"{name}: cannot be read"):
        load_lab_calibration(lab_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: {**data, "name": "<b>"}, "name: "),
        (lambda data: {**data, "schema_version": 2}, "schema_version: "),
        (lambda data: {**data, "calibrations": {"../a": data["calibrations"]["a"]}}, r"calibrations"),
        (lambda data: {**data, "more": 1}, "more: "),
        (lambda data: data, "was changed after it was written"),
    ],
)
def test_index_that_is_not_as_written_is_refused(lab_folder: Path, change, message: str) -> None:
    index = lab_folder / INDEX_NAME
    index.write_text(json.dumps(change(json.loads(index.read_text()))))
    with pytest.raises(CalibrationError, match=message):
        load_lab_calibration(lab_folder)


@pytest.mark.parametrize("fields", [{"slope": -1.0}, {"offset": math.inf}, {"bootstrap": ()}, {"n_sources": 0}])
def test_stratum_that_cannot_be_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    broken = dataclasses.replace(SHIPPED, **fields)  # type: ignore[arg-type]
    lab = lab_calibration("lab", {"a": Calibration("a", HEAD, {"all": broken})}, {}, {"a": ("all",)})
    for name, content in lab.files().items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CalibrationError, match="figures that cannot be"):
        load_lab_calibration(tmp_path)


def test_no_folder_is_a_calibration_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"cannot be read .*unset DEEPSCREEN_CALIBRATION_DIR"):
        load_lab_calibration(tmp_path / "gone")


def test_option_none_beats_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSCREEN_CALIBRATION_DIR", str(tmp_path))
    assert load_settings().calibration_dir == tmp_path
    assert load_settings(calibration_dir=None).calibration_dir is None


def test_info_shows_whose_calibration_is_in_use(
    lab_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    print_info(Settings(device="cpu"))
    assert "as shipped" in capsys.readouterr().out
    print_info(Settings(device="cpu", calibration_dir=lab_folder))
    assert f"lab, {load_lab_calibration(lab_folder).sha256}, for a (all); all others" in capsys.readouterr().out


@pytest.mark.weights
def test_setting_puts_the_labs_calibration_into_the_method(tmp_path: Path) -> None:
    """With the installed heads: a calibration that calls everything authentic, for the whole-picture detector."""
    shipped = load_method(SETTINGS)
    before = shipped.scale.calibrations["image_clip"]
    flat = dataclasses.replace(before.strata["all"], slope=0.0, offset=-9.0, bootstrap=((0.0, -9.0),))
    fitted = dataclasses.replace(before, strata={**before.strata, "all": flat})
    lab = lab_calibration("lab", {"image_clip": fitted}, {}, {"image_clip": ("all",)})
    for name, content in lab.files().items():
        (tmp_path / name).write_bytes(content)
    method = load_method(SETTINGS.model_copy(update={"calibration_dir": tmp_path}))
    assert method.scale.calibrations["image_clip"] == fitted
    assert method.scale.calibrations["face_clip"] == shipped.scale.calibrations["face_clip"]
    assert method.provenance.lab_calibration == lab.used
    assert method.provenance.method_digest != shipped.provenance.method_digest
    assert method.provenance.settings_digest == shipped.provenance.settings_digest
