"""An evaluation from files to report: nothing is dropped, and a figure without enough behind it is not shown."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.errors import ConfigError
from deepscreen.evaluation.as_shipped import KeptRecords, screen_items
from deepscreen.evaluation.datasets.item import Item
from deepscreen.evaluation.datasets.readers import read_items, reader_for
from deepscreen.evaluation.evaluate import (
    HTML_NAME,
    JSON_NAME,
    SCORES_NAME,
    checked_request,
    features_folder,
    method_words,
    prepared,
    write_evaluation,
)
from deepscreen.evaluation.evaluation_report import EvaluationReport, Request, report_of
from deepscreen.evaluation.leakage import RESIZED_SIDE_PX, LeakageTest, shuffled
from deepscreen.evaluation.score_rows import ScoredSet, ScoreRow
from deepscreen.evaluation.strata import STRATUM_KEYS
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from media_factory import save_clip, save_picture, save_sound, tone

N_EACH = 8


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


def noise(seed: int, size: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size + 8, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bona fide JPEG, spoof PNG, a clip with a sound that has no label, one with a label, a sound, and bad files."""
    root = tmp_path_factory.mktemp("data")
    lines = ["path,label,source,generator,kind,group,audio_label"]
    for k in range(N_EACH):
        save_picture(root / f"real{k}.jpg", "JPEG", noise(k))
        save_picture(root / f"fake{k}.png", "PNG", noise(100 + k, 300))
        lines += [
            f"real{k}.jpg,real,camera {k},,photo,,",
            f"fake{k}.png,fake,maker {k % 4},{'big' if k < 5 else 'few'},gan,,",
        ]
    save_clip(root / "clip.mp4", sound=True)
    save_clip(root / "voice.mp4", sound=True, seconds=1.2)
    save_sound(root / "tone.wav", tone(1.0, 16_000), 16_000)
    (root / "empty.png").touch()
    lines += ["clip.mp4,real,tv,,clip,,", "voice.mp4,real,tv,rtvc,clip,,fake", "tone.wav,fake,tts,t1,speech,,"]
    lines += ["empty.png,fake,maker 0,few,gan,,", "gone.jpg,real,camera 0,,photo,,"]
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    return root / "list.csv"


def request(data_set: Path, leakage: str = "none", by: str = ",".join(STRATUM_KEYS)) -> Request:
    return checked_request(
        data_set, data_set.parent / "out", "csv", protocol="as-shipped", leakage=leakage, by=by, seed=0
    )


def items_of(data_set: Path) -> list[Item]:
    return read_items(data_set, reader_for(data_set))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def scored(data_set: Path, desk: ScreeningDesk, out: Path) -> ScoredSet:
    ticks: list[int] = []
    items = items_of(data_set)
    result = screen_items(items, desk, KeptRecords(out / "records", desk.provenance), lambda: ticks.append(1))
    assert len(ticks) == len(items)
    return result


@pytest.fixture(scope="module")
def report(data_set: Path, desk: ScreeningDesk, scored: ScoredSet, out: Path) -> EvaluationReport:
    return write_evaluation(request(data_set), scored, method_words(desk.provenance), out)


def test_every_labelled_file_and_modality_has_one_row(scored: ScoredSet) -> None:
    found = [(row.path, row.modality) for row in scored.rows]
    assert len(found) == len(set(found)) == 2 * N_EACH + 2 + 2 + 1 + 1
    assert ("voice.mp4", "audio") in found
    assert ("clip.mp4", "audio") not in found
    assert scored.n_unlabelled == 1


def test_picture_and_sound_of_a_clip_have_labels_of_their_own(scored: ScoredSet) -> None:
    voice = {row.modality: row.label for row in scored.rows if row.path == "voice.mp4"}
    assert voice == {"video": 0, "audio": 1}


def test_files_that_fail_are_counted_by_reason(report: EvaluationReport) -> None:
    coverage = report.modalities["image"].coverage
    assert {(c.reason, c.n_bona_fide, c.n_spoof) for c in coverage.not_scored} == {
        ("EmptyMedia", 0, 1),
        ("UnreadableMedia", 1, 0),
    }
    assert coverage.n_rows == coverage.n_scored + 2 == 2 * N_EACH + 2


def test_quality_is_measured_where_the_data_set_has_no_word_for_it(scored: ScoredSet) -> None:
    qualities = {row.path: row.quality for row in scored.rows if row.is_scored}
    assert qualities["real0.jpg"].endswith("short side below 256 px")
    assert qualities["fake0.png"].endswith("short side below 512 px")
    assert qualities["tone.wav"] == "16 kHz"


def test_second_run_takes_what_was_screened(data_set: Path, desk: ScreeningDesk, scored: ScoredSet, out: Path) -> None:
    class NoDesk:
        settings = desk.settings

        def screen(self, _: object) -> None:
            raise AssertionError("was screened already")

    records = KeptRecords(out / "records", desk.provenance)
    assert screen_items(items_of(data_set), NoDesk(), records, lambda: None) == scored


def test_records_of_another_method_are_refused(
    data_set: Path, desk: ScreeningDesk, scored: ScoredSet, out: Path
) -> None:
    other = KeptRecords(out / "records", desk.provenance.model_copy(update={"method_digest": "0" * 64}))
    with pytest.raises(ConfigError, match="records of another method"):
        screen_items(items_of(data_set), desk, other, lambda: None)


def test_scores_csv_has_a_line_a_row(report: EvaluationReport, scored: ScoredSet, out: Path) -> None:
    with (out / SCORES_NAME).open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["path"] for line in lines] == [row.path for row in scored.rows]
    assert [line["absence"] for line in lines if line["path"] == "empty.png"] == ["EmptyMedia"]
    assert all((line["spoof_logit"] == "") == (line["absence"] != "") for line in lines)


def test_json_holds_the_report(report: EvaluationReport, out: Path) -> None:
    stored = json.loads((out / JSON_NAME).read_text())
    assert stored["n_files"] == report.n_files == 2 * N_EACH + 5
    assert stored["modalities"]["image"]["overall"]["figures"]["auc"]["value"] is not None
    assert stored["request"]["data_set"] == "list.csv"
    assert str(out.parent) not in (out / JSON_NAME).read_text()


def test_uncalibrated_method_has_no_figures_of_likelihood_ratios(report: EvaluationReport) -> None:
    figures = report.modalities["image"].overall.figures
    assert {figures[name].why_not for name in ("cllr", "cllr_min", "ece", "brier")} == {"not calibrated"}


def test_generator_is_set_against_all_bona_fide(report: EvaluationReport) -> None:
    strata = {f.stratum: f for f in report.modalities["image"].strata["generator"]}
    assert set(strata) == {"big", "few"}
    assert (strata["big"].n_bona_fide, strata["big"].n_spoof, strata["big"].against) == (N_EACH, 5, "all bona fide")
    assert strata["big"].figures["auc"].value is not None
    assert strata["few"].figures["auc"].why_not.startswith("too few: ")


def test_kind_of_one_class_is_set_against_the_other(report: EvaluationReport) -> None:
    strata = {f.stratum: (f.against, f.figures["auc"].value) for f in report.modalities["image"].strata["kind"]}
    assert {name: against for name, (against, _) in strata.items()} == {"gan": "all bona fide", "photo": "all spoof"}
    assert strata["gan"][1] == strata["photo"][1]


def test_false_positive_rate_of_a_few_is_not_shown(report: EvaluationReport) -> None:
    first = report.modalities["image"].error_rates[0]
    assert first.shown.value is None
    assert first.shown.why_not == f"not shown: {N_EACH} items, at least 300"


def test_modality_with_one_item_has_counts_and_no_figures(report: EvaluationReport) -> None:
    audio = report.modalities["audio"]
    assert (audio.overall.n_bona_fide, audio.overall.n_spoof) == (0, 2)
    assert all(shown.value is None for shown in audio.overall.figures.values())
    assert audio.curves is None


def test_page_is_self_contained_and_says_what_was_done(report: EvaluationReport, out: Path) -> None:
    page = (out / HTML_NAME).read_text()
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="', page) == []
    assert "Every file was screened by the method as it is installed." in page
    assert "not shown: 8 items, at least 300" in page
    assert page.count("<svg") == 1  # uncalibrated: DET only


def calibrated_rows(n: int = 400) -> list[ScoreRow]:
    """Rows as of a calibrated method: LRs at +-1 for the right class on average."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(n):
        label = k % 2
        lr = float(np.clip(rng.normal(1.0 if label else -1.0, 0.8), -2, 2))
        verdict = "spoof_supported" if lr >= 1 else "bona_fide_supported" if lr <= -1 else "inconclusive"
        about = (f"s{k % 40}", "", "photo", "", "jpeg")
        rows.append(ScoreRow(f"<b>{k}.png", "image", label, *about, round(lr, 3), round(lr, 3), verdict, ""))
    return rows


def test_calibrated_rows_have_all_figures_with_intervals_and_plots(tmp_path: Path) -> None:
    report = write_evaluation(
        request(tmp_path / "x.csv", by="source"), ScoredSet(tuple(calibrated_rows())), {}, tmp_path
    )
    figures = report.modalities["image"].overall
    for name, shown in figures.figures.items():
        assert shown.low is not None, name
        assert shown.low <= shown.value <= shown.high or name in ("cllr_min", "ece"), name
    assert (figures.n_units_bona_fide, figures.n_units_spoof, figures.resampled) == (20, 20, "sources")
    assert report.modalities["image"].error_rates[3].shown.value > 0.3
    assert (tmp_path / HTML_NAME).read_text().count("<svg") == 3


def test_hostile_names_are_shown_harmlessly(tmp_path: Path) -> None:
    rows = [
        ScoreRow("p", "image", k % 2, "<script>alert(1)</script>", "", "k", "", "", 1.0, 0.5, "inconclusive", "")
        for k in range(20)
    ]
    write_evaluation(request(tmp_path / "x.csv"), ScoredSet(tuple(rows)), {}, tmp_path)
    assert "<script" not in (tmp_path / HTML_NAME).read_text()


def test_same_rows_give_the_same_report(tmp_path: Path) -> None:
    scored = ScoredSet(tuple(calibrated_rows(60)))
    first, again = (report_of(request(tmp_path / "x.csv"), scored, {}).as_json() for _ in range(2))
    assert first == again


def pictures_of(data_set: Path) -> list[Item]:
    return [item for item in items_of(data_set) if item.modality == "image"]


def stored_as(items: list[Item]) -> dict[str, tuple[str, tuple[int, int]]]:
    found = {}
    for item in items:
        if item.file.key not in ("empty.png", "gone.jpg"):
            with Image.open(item.file.path) as picture:
                found[item.file.key] = (str(picture.format), picture.size)
    return found


@pytest.mark.parametrize(
    ("test", "real", "fake"),
    [
        ("format-swapped", ("PNG", (56, 48)), ("JPEG", (308, 300))),
        ("recoded", ("JPEG", (56, 48)), ("JPEG", (308, 300))),
        ("resized", ("PNG", (RESIZED_SIDE_PX,) * 2), ("PNG", (RESIZED_SIDE_PX,) * 2)),
    ],
)
def test_leakage_test_changes_both_classes(
    data_set: Path, tmp_path: Path, test: LeakageTest, real: tuple[str, tuple], fake: tuple[str, tuple]
) -> None:
    items = pictures_of(data_set)
    before = {item.file.path: item.file.path.read_bytes() for item in items if item.file.path.is_file()}
    changed = prepared(items, request(data_set, test), tmp_path, Settings().limits, lambda: None)
    stored = stored_as(changed)
    assert {stored[f"real{k}.jpg"] for k in range(N_EACH)} == {real}
    assert {stored[f"fake{k}.png"] for k in range(N_EACH)} == {fake}
    assert [(i.file.key, i.file.label) for i in changed] == [(i.file.key, i.file.label) for i in items]
    assert {path: path.read_bytes() for path in before} == before


def test_png_of_a_swap_holds_the_very_pixels(data_set: Path, tmp_path: Path) -> None:
    changed = prepared(
        pictures_of(data_set), request(data_set, "format-swapped"), tmp_path, Settings().limits, lambda: None
    )
    copy = next(item.file.path for item in changed if item.file.key == "real0.jpg")
    with Image.open(copy) as stored, Image.open(data_set.parent / "real0.jpg") as original:
        difference = np.asarray(stored).astype(int) - np.asarray(original.convert("RGB"))
    assert np.abs(difference).max() <= 2  # two JPEG decoders


def test_transforms_are_for_pictures(data_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there for pictures only, but 3 of 21 files are audio and video"):
        prepared(items_of(data_set), request(data_set, "recoded"), tmp_path, Settings().limits, lambda: None)


def test_shuffled_labels_keep_their_number_and_give_auc_one_half(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("path,label\n" + "".join(f"{k}.png,{k % 2}\n" for k in range(2000)))
    items = read_items(path, reader_for(path))
    first, again, other = (shuffled(items, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert sum(i.file.label for i in first) == 1000
    by_truth = np.array([[a.file.label, b.file.label] for a, b in zip(items, first, strict=True)])
    rows = tuple(
        ScoreRow(str(k), "image", int(now), f"s{k}", "", "", "", "", float(truth), None, "inconclusive", "")
        for k, (truth, now) in enumerate(by_truth)
    )
    report = report_of(request(path, "label-shuffled", by=""), ScoredSet(rows), {})
    auc = report.modalities["image"].overall.figures["auc"]
    assert auc.low < 0.5 < auc.high
    assert abs(auc.value - 0.5) < 0.05
    assert report.what_was_done[-1].endswith("holds 0.5, as it must.")


def test_shuffled_labels_that_are_found_again_are_reported(tmp_path: Path) -> None:
    scored = ScoredSet(tuple(calibrated_rows()))
    report = report_of(request(tmp_path / "x.csv", "label-shuffled", by=""), scored, {})
    assert report.what_was_done[-1].endswith("DOES NOT HOLD 0.5.")


def test_features_of_changed_pictures_or_labels_are_kept_apart(tmp_path: Path) -> None:
    kinds = ("none", "recoded", "resized", "label-shuffled")
    assert len({features_folder(tmp_path, request(tmp_path / "x", kind)) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--protocol", "k-fold"), r"--protocol 'k-fold'; want one of as-shipped, leave-one-source-out"),
        (("--leakage", "blur"), r"--leakage 'blur'; want one of none, format-swapped"),
        (("--by", "source,colour"), r"--by 'colour'; want one of source, generator, kind, quality"),
        (("--reader", "dfdc"), r"no dfdc layout; want metadata\.json"),
        (("--protocol", "leave-one-source-out"), r"pictures only, and the data set holds audio and video"),
    ],
)
def test_wrong_option_ends_with_exit_code_2(data_set: Path, tmp_path: Path, option: tuple, message: str) -> None:
    if "leave-one-source-out" in option:
        pytest.importorskip("torch")
    done = CliRunner().invoke(app, ["evaluate", "--manifest", str(data_set), "--out", str(tmp_path / "o"), *option])
    assert done.exit_code == 2, done.output
    assert re.search(message, " ".join(done.output.split()))


def test_out_inside_the_data_set_is_refused(tmp_path: Path) -> None:
    for name in ("real", "fake"):
        (tmp_path / name).mkdir()
    done = CliRunner().invoke(app, ["evaluate", "--manifest", str(tmp_path), "--out", str(tmp_path / "fake" / "out")])
    assert done.exit_code == 2
    assert "lies inside the data set" in done.output
