"""What is fitted on a lab's items, what is not, and how good it is on sources that it was not fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from lab_samples import HEAD, SHIPPED, scale_of

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import DetectorCard, Reading, Scored
from deepscreen.evaluation.validation import cross_fitted, quality, share
from deepscreen.evaluation.validation_report import account
from deepscreen.scoring.fusion import Fusion, Scale
from deepscreen.scoring.judgement import judge
from deepscreen.settings import VerdictPolicy
from deepscreen.training.lab_fit import Subject, fit_modality, lab_scale
from deepscreen.training.lab_media import LabItem, LabMedia

POLICY = VerdictPolicy()


def judged_item(
    number: int, label: int, cluster: str, scale: Scale, stratum: str = "all", **spoof_logits: float
) -> LabItem:
    outcomes = [
        (DetectorCard(name, "image", "1", (), ""), Scored(Reading(name, logit, 1, stratum)))
        for name, logit in spoof_logits.items()
    ]
    result = judge("image", outcomes, scale=scale, policy=POLICY, evidence=(), caveats=())
    return LabItem(f"{number}.png", label, cluster, cluster, "image", result)


def items_of(count: int, *names: str, stratum: str = "all", scale: Scale | None = None, seed: int = 0) -> list[LabItem]:
    """Half spoof, 12 sources of each label, logits a unit apart from zero; every detector in *names* reads each."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        label = number % 2
        logits = {name: float(rng.normal(2 * label - 1, 1.2)) for name in names}
        found.append(judged_item(number, label, f"s{number % 24}", scale or scale_of(*names), stratum, **logits))
    return found


def test_item_is_never_judged_by_a_fit_on_its_own_source() -> None:
    items = items_of(72, "a")
    changed = [judged_item(900, 1, "s0", scale_of("a"), a=-30.0), *items]  # an outlier in source s0
    shipped = scale_of("a")
    fits = [fit_modality(one, shipped) for one in (items, changed)]
    before, after = (cross_fitted(fit, shipped)["image"] for fit in fits if fit is not None)
    own = [one for one in before if one.cluster == "s0"]
    assert [one for one in after if one.cluster == "s0" and one.log10_before > -4][-len(own) :] == own
    others = [one.log10_after for one in before if one.cluster != "s0"]
    assert [one.log10_after for one in after if one.cluster != "s0"] != others


def test_fusion_is_fitted_where_enough_items_have_all_readings() -> None:
    fusion = Fusion("image", ("a", "b"), "a", (0.7, 0.4), 0.1)
    shipped = scale_of("a", "b", "image_fusion", fusion=fusion)
    fit = fit_modality(items_of(72, "a", "b", scale=shipped), shipped)
    assert fit is not None
    assert fit.fitted == (Subject("a", "all"), Subject("b", "all"), Subject("image_fusion", "all"))
    assert fit.scale.fusions["image"] == fusion
    assert fit.scale.calibrations["image_fusion"].strata["all"] != SHIPPED


def test_fusion_is_put_aside_where_too_few_items_have_all_readings() -> None:
    fusion = Fusion("image", ("a", "b"), "a", (0.7, 0.4), 0.1)
    shipped = scale_of("a", "b", "image_fusion", fusion=fusion)
    both = items_of(20, "a", "b", scale=shipped)
    fit = fit_modality([*both, *items_of(72, "a", scale=shipped, seed=1)], shipped)
    assert fit is not None
    assert fit.fitted == (Subject("a", "all"),)
    assert set(fit.lacking) == {Subject("b", "all"), Subject("image_fusion", "all")}
    readings = {r.detector: r.spoof_logit for r in both[0].result.readings}
    lrs = {name: lr for name, logit in readings.items() if (lr := fit.scale.reading_lr(name, logit, "all"))}
    assert fit.scale.modality_lr("image", lrs, readings) == fit.scale.calibrations["a"].apply(readings["a"])


def test_what_no_item_has_is_said_to_be_lacking() -> None:
    fusion = Fusion("image", ("a", "b"), "a", (0.7, 0.4), 0.1)
    shipped = scale_of("a", "b", "image_fusion", fusion=fusion)
    fit = fit_modality(items_of(72, "a", scale=shipped), shipped)
    assert fit is not None
    assert fit.lacking[Subject("image_fusion", "all")].n_items == {0: 0, 1: 0}
    assert fit.scale.fusions["image"].coefficients == ()


def test_modality_is_not_calibrated_where_its_lead_has_too_few() -> None:
    fusion = Fusion("image", ("a", "b"), "a", (), 0.0)
    shipped = scale_of("a", "b", fusion=fusion)
    assert fit_modality([*items_of(72, "b", scale=shipped), *items_of(20, "a", scale=shipped)], shipped) is None


def test_stratum_with_too_few_stays_as_shipped() -> None:
    shipped = scale_of("a", strata=("near", "far"))
    items = [*items_of(72, "a", stratum="near", scale=shipped), *items_of(20, "a", stratum="far", scale=shipped)]
    fit = fit_modality(items, shipped)
    assert fit is not None
    assert fit.fitted == (Subject("a", "near"),)
    assert fit.lacking[Subject("a", "far")].n_items == {0: 10, 1: 10}
    assert fit.scale.calibrations["a"].strata["far"] == SHIPPED
    assert fit.scale.calibrations["a"].strata["near"].n_sources == 24


def test_items_of_another_domain_are_not_fitted_on() -> None:
    """Where one detector turns an item away, the readings of the others count for nothing."""
    shipped = scale_of("a", "b")
    card = DetectorCard("b", "image", "1", (), "")
    outcomes = [
        (DetectorCard("a", "image", "1", (), ""), Scored(Reading("a", -30.0, 1))),
        (card, NotScored("b", Absence.OUT_OF_DOMAIN, "a drawing")),
    ]
    result = judge("image", outcomes, scale=shipped, policy=POLICY, evidence=(), caveats=())
    drawing = LabItem("drawing.png", 1, "s0", "s0", "image", result)
    items = items_of(72, "a", "b")
    subjects = (Subject("a", "all"), Subject("b", "all"))
    assert lab_scale([*items, drawing], subjects, shipped) == lab_scale(items, subjects, shipped)
    assert account(LabMedia(HEAD, 1, (drawing,), {})).not_scored == {"b: out_of_domain": 1}


def test_shares_have_the_wider_interval() -> None:
    """None of 30: Clopper-Pearson's upper end is 1 - 0.025 ** (1 / 30); bad sources widen it beyond that."""
    none = share(np.zeros(30, dtype=bool), np.array([f"s{k}" for k in range(30)]))
    assert (none.n_cases, none.low) == (0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 30), abs=1e-4)
    cases = np.arange(100) < 50
    alone = share(cases, np.array([f"s{k}" for k in range(100)]))
    clustered = share(cases, np.array([f"s{k // 10}" for k in range(100)]))
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)


def test_figures_count_verdicts_by_label() -> None:
    judged = cross_fitted(_fit(items_of(96, "a")), scale_of("a"))["image"]
    labels, clusters = np.array([one.label for one in judged]), np.array([one.cluster for one in judged])
    figures = quality(labels, np.array([one.log10_after for one in judged]), clusters, POLICY)
    bona_fide = [one for one in judged if one.label == 0]
    called = sum(one.log10_after >= POLICY.spoof_min_log10_lr for one in bona_fide)
    rate = figures.bona_fide_called_spoof
    assert (rate.n_cases, rate.n_items) == (called, 48)
    assert rate.n_cases + figures.bona_fide_inconclusive.n_cases <= 48
    assert figures.spoof_inconclusive.n_items == 48
    assert figures.cllr.value - figures.cllr_min.value == pytest.approx(figures.calibration_loss.value, abs=2e-4)


def _fit(items: list[LabItem]):
    fit = fit_modality(items, scale_of("a"))
    assert fit is not None
    return fit
