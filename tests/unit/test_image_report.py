"""The figures of the picture detectors' cards, and the choice between fusion and lead, on made-up held-out logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from deepscreen.evaluation.metrics import auc
from deepscreen.training.fit_image import calibrate
from deepscreen.training.image_fusion import FusionChoice, choose_fusion
from deepscreen.training.image_report import (
    Calibrated,
    Folds,
    detector_report,
    is_of_faces,
    lr_figures,
    source_figures,
    verdict_figures,
)
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import HeldOut

N_SOURCES, PER_SOURCE, N_FOLDS = 40, 16, 4
KINDS = {0: ("camera_photo_face", "camera_photo_general"), 1: ("gan_face", "faceswap", "diffusion_general", "splice")}


def files(n_sources: int = N_SOURCES) -> list[LabelledFile]:
    """Each source has files of one class and kind; even ones are bona fide."""
    made = []
    for source in range(n_sources):
        label = source % 2
        kind = KINDS[label][source // 2 % len(KINDS[label])]
        for k in range(PER_SOURCE):
            key = f"{source}/{k}.png"
            made.append(LabelledFile(Path(key), key, label, kind, f"maker {source}", f"source {source}", "", None))
    return made


def held_out(gap: float, chosen: list[LabelledFile], seed: int = 0) -> HeldOut:
    """Two normal classes, unit variance, so that the true natural-log LR of a logit x is gap * x."""
    labels = np.array([file.label for file in chosen])
    noise = np.random.default_rng(seed).normal(0, 1, len(chosen))
    logits = gap * (labels - 0.5) + noise
    return HeldOut(chosen, labels, logits, noise, {"a stress": logits - 0.1})


def folds(chosen: list[LabelledFile]) -> dict[str, int]:
    return {file.key: int(file.source.split()[1]) // 2 % N_FOLDS for file in chosen}


def calibrated(gap: float) -> Calibrated:
    chosen = files()
    with threadpool_limits(1):
        return Calibrated.of(chosen, held_out(gap, chosen).spoof_logits, folds(chosen))


@pytest.fixture(scope="module")
def good() -> Calibrated:
    return calibrated(gap=2.5)


def test_likelihood_ratios_of_normal_classes_are_well_calibrated(good: Calibrated) -> None:
    figures = lr_figures(good, "all")
    assert (figures["n_spoof"], figures["n_bona_fide"]) == (320, 320)
    assert figures["cllr_min"] < figures["cllr"] < 0.6
    assert figures["calibration_loss"] == pytest.approx(figures["cllr"] - figures["cllr_min"], abs=0.0011)
    assert figures["calibration_loss"] < 0.08
    assert figures["ece"] < 0.08
    assert figures["cllr_low"] < figures["cllr"] < figures["cllr_high"]


def test_likelihood_ratios_without_information_say_so() -> None:
    assert lr_figures(calibrated(gap=0.0), "all")["cllr"] == pytest.approx(1.0, abs=0.05)


def test_family_is_set_against_all_bona_fide(good: Calibrated) -> None:
    assert lr_figures(good, "face manipulated")["n_spoof"] == 80
    assert lr_figures(good, "generated")["n_spoof"] == 160
    assert {lr_figures(good, family)["n_bona_fide"] for family in ("generated", "edited locally")} == {320}


def test_calibration_never_saw_its_own_fold() -> None:
    """A fold whose logits are shifted keeps its shift: a calibration that had seen it would take it back."""
    chosen = files()
    logits = held_out(2.5, chosen).spoof_logits
    by_key = folds(chosen)
    shifted = logits + 2.0 * np.array([by_key[file.key] == 0 for file in chosen])
    with threadpool_limits(1):
        plain, moved = (Calibrated.of(chosen, one, by_key).log10_lrs for one in (logits, shifted))
    own = np.array([by_key[file.key] == 0 for file in chosen])
    assert moved[own].mean() - plain[own].mean() > 0.8


def test_rates_have_their_exact_interval_and_their_least_number(good: Calibrated) -> None:
    figures = verdict_figures(good, "all")
    assert figures["fpr_low"] <= figures["fpr"] <= figures["fpr_high"] < 0.12
    assert figures["spoofs_found"] > 0.2
    few = Calibrated(good.files[:160], good.spoof_logits[:160], good.log10_lrs[:160])
    assert verdict_figures(few, "all")["fpr"] == "not shown: 80 items, at least 300"


def test_sources_are_set_against_the_other_class_of_their_content(good: Calibrated) -> None:
    """Ten sources of real faces against the swaps, five of swaps against the real faces; no general ones."""
    figures = source_figures(good, "face manipulated")
    assert figures["n_sources"] == 15
    assert figures["auc_lowest"] <= figures["auc_10th_percentile"] <= 1.0
    labels = np.array([f.label for f in good.files])
    swaps = np.array([f.label == 0 or f.kind == "faceswap" for f in good.files])
    assert figures["auc_pooled"] == pytest.approx(auc(labels[swaps], good.log10_lrs[swaps]), abs=0.01)


def test_source_with_few_pictures_has_no_auc_of_its_own(good: Calibrated) -> None:
    kept = [k for k, file in enumerate(good.files) if file.source != "source 3" or not file.key.endswith("/0.png")]
    assert good.files[3 * PER_SOURCE].kind == "faceswap"
    fewer = Calibrated([good.files[k] for k in kept], good.spoof_logits[kept], good.log10_lrs[kept])
    assert source_figures(fewer, "face manipulated")["n_sources"] == 15
    kept = [k for k in kept if good.files[k].source != "source 3" or not good.files[k].key.endswith("/1.png")]
    fewer = Calibrated([good.files[k] for k in kept], good.spoof_logits[kept], good.log10_lrs[kept])
    assert source_figures(fewer, "face manipulated")["n_sources"] == 14


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("camera_video_face_crop", True), ("reenactment_talking_head", True), ("faceswap", True), ("splice", False)],
)
def test_content_follows_from_the_kind(kind: str, expected: bool) -> None:
    assert is_of_faces(kind) is expected


def test_report_of_a_detector_holds_every_section() -> None:
    chosen = files(16)
    held = held_out(2.5, chosen)
    by_key = folds(chosen)
    with threadpool_limits(1):
        report = detector_report("image_clip", chosen, held, Folds(by_key, by_key), held, calibrate("x", "ab", held))
    assert report["fitted_on"] == {"n_files": 256, "n_sources": 16, "n_scored": 256}
    assert report["calibration_fitted_on"]["other sources"] == report["calibration_fitted_on"]["other generators"]
    assert report["protocols"]["source-held-out, all"]["cllr"] == report["likelihood_ratios"]["all"]["cllr"]
    assert report["after_laundering"]["a stress"]["auc_lost"] == 0.0
    assert set(report["likelihood_ratios"]) == set(report["verdicts"]) == set(report["auc_over_sources"])


def chosen_of(gap_image: float, gap_face: float, *, face_is_a_copy: bool = False) -> FusionChoice:
    everything = files()
    with_face = [file for file in everything if is_of_faces(file.kind)]
    image, face = held_out(gap_image, everything), held_out(gap_face, with_face, seed=7)
    if face_is_a_copy:
        logit_of = dict(zip([f.key for f in everything], image.spoof_logits, strict=True))
        face = HeldOut(with_face, face.labels, np.array([logit_of[f.key] for f in with_face]), face.probe_logits)
    with threadpool_limits(1):
        held, shas = {"image_clip": image, "face_clip": face}, {"image_clip": "a", "face_clip": "b"}
        return choose_fusion(held, folds(everything), shas)


def test_mean_is_shipped_where_it_beats_both() -> None:
    choice = chosen_of(1.5, 1.5)
    assert choice.fusion.coefficients == (0.5, 0.5)
    assert choice.calibration is not None
    assert choice.calibration.head_sha256 == "a+b"
    quality = choice.report["members_on_pictures_with_a_face"]
    assert quality["fusion"]["auc"] > max(quality["image_clip"]["auc"], quality["face_clip"]["auc"])


@pytest.mark.parametrize(("gap_face", "is_copy"), [(0.0, False), (1.5, True)], ids=["noise", "nothing new"])
def test_lead_speaks_where_the_mean_adds_nothing(gap_face: float, is_copy: bool) -> None:
    choice = chosen_of(1.5, gap_face, face_is_a_copy=is_copy)
    assert (choice.fusion.coefficients, choice.calibration) == ((), None)
    assert choice.fusion.lead == "image_clip"


def test_decided_picture_is_judged_by_what_speaks_for_it() -> None:
    """All pictures are in, also those without a face; the fusion helps those with one."""
    report = chosen_of(1.5, 3.0).report
    assert report["likelihood_ratios"]["all"]["n_bona_fide"] == 320
    assert report["likelihood_ratios"]["face manipulated"]["auc"] > report["likelihood_ratios"]["edited locally"]["auc"]
