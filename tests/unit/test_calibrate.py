"""A lab's own calibration: fitted on enough, judged on what it was not fitted on, named in every record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lab_samples import HEAD, SETTINGS, scale_of
from PIL import Image
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.detectors.contract import ImageSample, Scored
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.fake import FakeDetector
from deepscreen.errors import ConfigError, TooFewItems
from deepscreen.evaluation.validation_page import validation_page
from deepscreen.media.samples import Still
from deepscreen.method import Method, provenance, recalibrated
from deepscreen.record import Verdict
from deepscreen.scanning.single import ScannedFile, scan_file
from deepscreen.scoring.lab_calibration import INDEX_NAME, load_lab_calibration
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.training.calibrate import PAGE_NAME, REPORT_NAME, SCREENED_NAME, Calibrated, calibrate
from deepscreen.training.lab_fit import Enough
from deepscreen.training.labelled import read_local_manifest

N_FILES, N_SOURCES = 96, 24
HOSTILE = "lab <script>alert(1)</script>"


def fake_method(settings: Settings = SETTINGS) -> Method:
    """A FakeDetector for pictures with a shipped calibration."""
    detectors = (FakeDetector("image"),)
    known_by = provenance(settings, ComputePlan("cpu", "fp32", 1), detectors, {"head-image": HEAD})
    return Method(detectors, scale_of("fake_image"), known_by, None)


def desk_of(method: Method) -> ScreeningDesk:
    return ScreeningDesk(
        SETTINGS, detectors=method.detectors, scale=method.scale, provenance=method.provenance, yunet_path=None
    )


def pixels_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def fake_logit(pixels: np.ndarray) -> float:
    outcome = FakeDetector("image").score(ImageSample(Still(pixels), ()))
    assert isinstance(outcome, Scored)
    return outcome.reading.spoof_logit


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose label follows from the fake detector's logit, with errors; a copy; a file that is no picture."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(7)
    rows = []
    for number in range(N_FILES):
        pixels = pixels_of(number)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        label = "fake" if fake_logit(pixels) + rng.normal(0, 1.5) > 0 else "real"
        source = HOSTILE if number % N_SOURCES == 0 else f"source {number % N_SOURCES}"
        rows.append(f"{number:03}.png,{label},{source}")
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "text.png").write_text("no picture")
    label_of_first = rows[0].split(",")[1]
    rows += [f"copy.png,{label_of_first},source 5", "text.png,real,source 6"]
    (folder / "local.csv").write_text("\ufeff" + "\n".join(["path,label,source", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibration") / "2026"


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = desk_of(fake_method())
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def calibrated(media: Path, folder: Path, desk: ScreeningDesk) -> Calibrated:
    return calibrate(
        media / "local.csv", folder, "Lab 7", method=fake_method(), desk=desk, on_file=lambda scanned: None
    )


def test_folder_holds_calibration_report_and_records(calibrated: Calibrated, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        INDEX_NAME,
        "fake_image.json",
        PAGE_NAME,
        REPORT_NAME,
        SCREENED_NAME,
    }
    assert len(list((folder / SCREENED_NAME).glob("*/record.json"))) == N_FILES


def test_every_row_is_accounted_for(calibrated: Calibrated) -> None:
    media = calibrated.report.media
    assert (media.n_listed, media.n_screened) == (N_FILES + 2, N_FILES)
    assert media.left_out == {"UnsupportedMedia": 1, "same content as another row": 1}
    assert sum(s.n_bona_fide + s.n_spoof for s in media.sources) == N_FILES
    assert len(media.sources) == N_SOURCES


def test_calibration_mends_what_the_shipped_one_gets_wrong(calibrated: Calibrated) -> None:
    (result,) = calibrated.report.results
    assert result.title == "image"
    assert (result.n_bona_fide + result.n_spoof, result.n_spoof_sources) == (N_FILES, N_SOURCES)
    assert result.before.cllr.value > 1 > result.after.cllr.value
    assert result.cllr_change.high < 0
    assert result.after.calibration_loss.value < result.before.calibration_loss.value
    assert result.before.bona_fide_called_spoof.value > result.after.bona_fide_called_spoof.value
    assert result.after.cllr.low <= result.after.cllr.value <= result.after.cllr.high
    assert [criterion.is_met for criterion in calibrated.report.criteria] == [True, True, True]


def test_records_name_the_calibration_and_carry_its_likelihood_ratios(
    calibrated: Calibrated, folder: Path, media: Path
) -> None:
    lab = load_lab_calibration(folder)
    method = recalibrated(fake_method(), lab)
    assert lab.used == calibrated.lab.used
    assert method.provenance.method_digest == calibrated.report.method_digest
    assert method.provenance.method_digest != fake_method().provenance.method_digest
    desk = desk_of(method)
    try:
        screening = scan_file(media, Path("003.png"), desk, None).screening
    finally:
        desk.close()
    assert screening is not None
    used = screening.provenance.lab_calibration
    assert used is not None
    assert (used.name, used.sha256, used.fitted_strata) == ("Lab 7", lab.sha256, {"fake_image": ("all",)})
    assert json.loads(screening.canonical_json())["provenance"]["lab_calibration"]["name"] == "Lab 7"
    result = screening.modalities["image"]
    expected = lab.calibrations["fake_image"].apply(fake_logit(pixels_of(3)))
    assert (result.log10_lr, result.log10_lr_limit) == (expected.log10_lr, expected.limit)


def test_head_stays_the_shipped_one(calibrated: Calibrated) -> None:
    assert calibrated.lab.calibrations["fake_image"].head_sha256 == HEAD
    assert [(f.title, f.head_sha256) for f in calibrated.report.fitted] == [("fake_image", HEAD)]


def test_report_as_json_holds_what_the_page_shows(calibrated: Calibrated, folder: Path) -> None:
    data = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    page = (folder / PAGE_NAME).read_text(encoding="utf-8")
    assert data["calibration"]["sha256"] == calibrated.lab.sha256
    assert data["results"][0]["after"]["cllr"]["value"] == calibrated.report.results[0].after.cllr.value
    assert f"{data['results'][0]['after']['cllr']['value']:.3f}" in page
    assert data["method_digest"] in page
    assert data["shipped_method"]["method_digest"] in page
    assert "Authorised for use by, date, signature" in page
    assert [line for line in data["not_validated"] if "audio, video: no file of this kind" in line]


def test_page_runs_no_script_and_shows_hostile_names_harmlessly(calibrated: Calibrated) -> None:
    page = validation_page(calibrated.report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_calibration_that_is_there_is_not_overwritten(calibrated: Calibrated, media: Path, folder: Path, desk) -> None:
    with pytest.raises(ConfigError, match="choose another --out"):
        calibrate(media / "local.csv", folder, "x", method=fake_method(), desk=desk, on_file=lambda scanned: None)


def test_interrupted_run_goes_on_and_gives_the_same_bytes(
    calibrated: Calibrated, media: Path, folder: Path, desk: ScreeningDesk
) -> None:
    names = (INDEX_NAME, "fake_image.json", PAGE_NAME, REPORT_NAME)
    before = {name: (folder / name).read_bytes() for name in names}
    (folder / INDEX_NAME).unlink()  # written last: without it the run counts as unfinished
    told: list[ScannedFile] = []
    calibrate(media / "local.csv", folder, "Lab 7", method=fake_method(), desk=desk, on_file=told.append)
    assert sum(scanned.was_kept for scanned in told) == N_FILES + 1
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_one_content_with_two_labels_is_refused(
    calibrated: Calibrated, folder: Path, media: Path, tmp_path: Path, desk: ScreeningDesk
) -> None:
    shutil.copytree(folder / SCREENED_NAME, tmp_path / "out" / SCREENED_NAME)  # nothing needs to be screened again
    lines = (media / "local.csv").read_text(encoding="utf-8-sig").splitlines()
    first = next(line for line in lines if line.startswith("000.png"))
    other = "real" if ",fake," in first else "fake"
    rows = [f"{media}/{line}" for line in lines[1:-2]] + [f"{media}/copy.png,{other},source 5"]
    (tmp_path / "local.csv").write_text("\n".join([lines[0], *rows]))
    with pytest.raises(ConfigError, match="hold the same bytes but have different labels"):
        calibrate(
            tmp_path / "local.csv", tmp_path / "out", "x", method=fake_method(), desk=desk, on_file=lambda scanned: None
        )
    assert not (tmp_path / "out" / INDEX_NAME).exists()


def test_files_that_cannot_be_screened_do_not_count_towards_the_least(tmp_path: Path, desk: ScreeningDesk) -> None:
    (tmp_path / "text.png").write_text("no picture")
    rows = [f"text.png,{'fake' if k % 2 else 'real'},s{k % 30}" for k in range(80)]
    (tmp_path / "local.csv").write_text("\n".join(["path,label,source", *rows]))
    with pytest.raises(TooFewItems, match="no file was screened; a calibration needs at least 30 bona fide"):
        calibrate(
            tmp_path / "local.csv", tmp_path / "out", "x", method=fake_method(), desk=desk, on_file=lambda scanned: None
        )


def test_what_is_missing_is_said_by_label_and_number() -> None:
    enough = Enough.of([(0, f"r{k % 9}") for k in range(40)] + [(1, f"f{k}") for k in range(12)])
    assert enough.missing == "9 bona fide sources of at least 10, 12 spoof items of at least 30"
    assert Enough.of([(k % 2, f"s{k % 20}") for k in range(60)]).missing == ""


def test_command_refuses_too_little_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    manifest = tmp_path / "local.csv"
    rows = [f"{k}.png,{'fake' if k % 2 else 'real'},s{k},joined" for k in range(80)]  # a group ties all sources
    manifest.write_text("\n".join(["path,label,source,group", *rows]))
    done = CliRunner().invoke(app, ["calibrate", "--manifest", str(manifest), "--out", str(tmp_path / "out")])
    assert done.exit_code == 3
    assert "1 bona fide sources of at least 10, 1 spoof sources of at least 10" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", " x", "a\nb", "<b>", "x" * 81, "\u202edab"])
def test_command_refuses_a_name_that_could_mislead(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["calibrate", "--manifest", "m.csv", "--out", str(tmp_path), "--name", name])
    assert done.exit_code == 2
    assert "want 1 to 80 letters" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,source\na.png,maybe,s\n", "label 'maybe', want one of"),
        ("path,label,source\na.png,real,\n", "a.png: has no source"),
        ("path,label\na.png,real\n", "not a readable manifest .*source"),
        ("path,label,source\na.png\n", "not a readable manifest .*label"),
    ],
)
def test_manifest_with_a_hole_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "local.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_local_manifest(tmp_path / "local.csv")


def test_verdicts_of_the_report_are_those_of_the_policy(calibrated: Calibrated) -> None:
    assert calibrated.report.decision_rule[0].startswith(f"{Verdict.SPOOF_SUPPORTED}: log10 LR of at least +1")
