"""ECE, Brier, exact intervals, ranks and curves: by hand, and against arithmetic that is not the module's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss

from deepscreen.evaluation.curves import MAX_POINTS, curves_of, reliability, tippett
from deepscreen.evaluation.metrics import Metric, auc, brier, cllr, cllr_min, ece, eer, tpr_at_fpr
from deepscreen.evaluation.plots import HEIGHT, WIDTH, plots_of
from deepscreen.evaluation.protocols import generator_folds
from deepscreen.evaluation.resampling import (
    ResampledMetric,
    auc_of,
    brier_of,
    cllr_min_of,
    cllr_of,
    ece_of,
    eer_of,
    tallies,
    tpr_at_one_percent_of,
)
from deepscreen.evaluation.score_rows import ScoreRow
from deepscreen.evaluation.strata import Scores, by_stratum, error_rates, measure, ranks, share, units_of

LABELS = np.array([0, 0, 0, 0, 1, 1])


def row(k: int, label: int, logit: float | None = 0.0, **said: object) -> ScoreRow:
    about = {"source": f"s{k}", "generator": "", "kind": "", "group": "", "quality": ""}
    rest = {"log10_lr": None, "verdict": "inconclusive", "absence": "" if logit is not None else "no_face"}
    return ScoreRow(f"f{k}", "image", label, spoof_logit=logit, **(about | rest | said))


def random_scores(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [n // 4, n - n // 4]))
    return labels, rng.normal(np.where(labels == 1, 1.0, -1.0), 1.5)


def test_brier_without_information_is_a_quarter_and_of_certainty_nothing() -> None:
    assert brier(LABELS, np.zeros(6)) == pytest.approx(0.25)
    assert brier(LABELS, np.where(LABELS == 1, 800.0, -800.0)) == pytest.approx(0)
    assert brier(LABELS, np.where(LABELS == 1, -800.0, 800.0)) == pytest.approx(1)


def test_brier_agrees_with_scikit_learn() -> None:
    labels, llrs = random_scores()
    weights = np.where(labels == 1, 1 / (labels == 1).sum(), 1 / (labels == 0).sum())
    expected = brier_score_loss(labels, 1 / (1 + np.exp(-llrs)), sample_weight=weights)
    assert brier(labels, llrs) == pytest.approx(expected)


def test_ece_by_hand() -> None:
    """All at P = 0.75, where classes weighing half give 0.5; then half of the weight at 0.25, all of it right."""
    assert ece(LABELS, np.full(6, math.log(3))) == pytest.approx(0.25)
    assert ece(LABELS, np.where(LABELS == 1, math.log(3), -math.log(3))) == pytest.approx(0.25)


def test_ece_does_not_depend_on_the_share_of_the_classes() -> None:
    llrs = np.where(LABELS == 1, 1.3, -0.4)
    assert ece(LABELS, llrs) == pytest.approx(ece(LABELS[3:5], llrs[3:5]))


def test_ece_of_calibrated_ratios_is_small_and_of_overconfident_ones_is_not() -> None:
    labels, scores = random_scores(1, 20_000)
    calibrated = scores * 2 / 1.5**2  # the log ratio of two normals at +-1 with this deviation
    assert ece(labels, calibrated) < 0.02
    assert ece(labels, 5 * calibrated) > 0.05


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 300), (300, 300), (150, 400)])
def test_share_has_the_exact_interval(k: int, n: int) -> None:
    found = share("x", k, n).shown
    expected = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_false_positive_rate_is_shown_from_300_bona_fide() -> None:
    rows = [row(k, 0, verdict="spoof_supported" if k < 3 else "inconclusive") for k in range(300)]
    assert error_rates(rows)[0].shown.value == pytest.approx(0.01)
    assert error_rates(rows[:299])[0].shown.value is None
    assert error_rates(rows[:299])[0].n == 299


def test_items_without_a_reading_are_in_no_rate() -> None:
    rows = [row(k, 1, None if k < 5 else 1.0, verdict="not_screened" if k < 5 else "spoof_supported") for k in range(9)]
    detected = error_rates(rows)[3]
    assert (detected.n_cases, detected.n) == (4, 4)


def test_ranks_follow_the_ratio_and_then_the_logit() -> None:
    llrs, logits = np.array([2.0, 2.0, -1.0, 2.0]), np.array([5.0, 3.0, 9.0, 5.0])
    assert ranks(llrs, logits).tolist() == [3, 2, 1, 3]
    assert ranks(None, logits) is logits


def test_sources_are_resampled_where_each_class_has_five() -> None:
    units = units_of(Scores.of([row(k, k % 2) for k in range(10)]))
    assert (units.called, units.n_bona_fide, units.n_spoof) == ("sources", 5, 5)


def test_groups_are_resampled_where_a_class_has_too_few_sources() -> None:
    """One source of spoofs would be drawn whole or not at all: its interval would have next to no width."""
    spoof = [row(k, 1, float(k), source="one", group=f"g{k // 2}" if k < 8 else "") for k in range(12)]
    scores = Scores.of([*spoof, *(row(k, 0, k / 3) for k in range(20, 40))])
    units = units_of(scores)
    assert (units.called, units.n_bona_fide, units.n_spoof) == ("groups", 20, 4 + 4)
    auc = measure(scores, "all").figures["auc"]
    assert auc.high - auc.low > 0.1


def test_interval_of_two_groups_is_not_shown() -> None:
    rows = [row(k, k % 2, float(k), source="one", group=f"g{k // 10}") for k in range(20)]
    auc = measure(Scores.of(rows), "all").figures["auc"]
    assert auc.value is not None
    assert auc.low is None
    assert auc.why_not == "interval not shown: fewer than 5 groups of a class"


def test_strata_come_lowest_auc_first_and_those_without_last() -> None:
    good = [row(k, 1, 5.0, generator="good") for k in range(6)]
    bad = [row(k, 1, -5.0, generator="bad") for k in range(6, 12)]
    few = [row(12, 1, 5.0, generator="few")]
    strata = by_stratum(Scores.of([*good, *bad, *few, *(row(k, 0) for k in range(20, 30))]), "generator")
    assert [f.stratum for f in strata] == ["bad", "good", "few"]
    assert [f.figures["auc"].value for f in strata] == [0.0, 1.0, None]


def test_bona_fide_file_is_no_work_of_a_generator() -> None:
    """A clip whose voice alone was cloned has a generator, but its picture is bona fide."""
    rows = [row(k, 1, 1.0, generator="g") for k in range(6)] + [row(9, 0, 9.0, generator="g")]
    (only,) = by_stratum(Scores.of(rows), "generator")
    assert (only.n_spoof, only.n_bona_fide) == (6, 1)


def test_true_positive_rate_at_one_percent_needs_a_hundred_bona_fide() -> None:
    rows = [row(k, int(k < 50), float(k < 50)) for k in range(150)]
    assert measure(Scores.of(rows), "all").figures["tpr_at_1_percent_fpr"].value == 1.0
    assert measure(Scores.of(rows[:-1]), "all").figures["tpr_at_1_percent_fpr"].value is None


def test_det_curve_goes_through_all_thresholds() -> None:
    curves = curves_of(LABELS, np.arange(6.0), None)
    assert curves.det[0] == (0.0, 1.0)
    assert curves.det[-1] == (1.0, 0.0)
    assert (0.0, 0.0) in curves.det
    assert curves.reliability == ()


def test_tippett_counts_those_at_or_above() -> None:
    llrs = np.array([-1.0, 0.0, 2.0, 2.0]) * math.log(10)
    assert tippett(llrs) == ((-1.0, 1.0), (0.0, 0.75), (2.0, 0.5), (2.0, 0.25))


def test_reliability_weighs_classes_alike() -> None:
    (only,) = reliability(LABELS, np.full(6, 0.1))
    assert (only.observed, only.n) == (0.5, 6)


def test_curves_are_thinned() -> None:
    labels, llrs = random_scores(2, 5000)
    curves = curves_of(labels, llrs, llrs)
    assert max(map(len, (curves.det, curves.tippett_bona_fide, curves.tippett_spoof))) <= MAX_POINTS
    assert sum(b.n for b in curves.reliability) == 5000


def test_plots_stay_within_their_drawing() -> None:
    labels, llrs = random_scores(3)
    plots = plots_of(curves_of(labels, llrs, 100 * llrs))
    assert [plot.title for plot in plots] == ["DET", "Tippett", "Reliability"]
    for line in (line for plot in plots for line in plot.lines):
        points = [tuple(map(float, pair.split(","))) for pair in line.points.split()]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)


def test_generator_folds_hold_out_generators_of_spoofs_and_sources_of_bona_fide() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200).tolist()
    generators = [f"g{rng.integers(0, 9)}" if label else "" for label in labels]
    sources = [f"s{rng.integers(0, 9)}" for _ in labels]
    fold = np.zeros(200, dtype=int)
    for number, members in enumerate(generator_folds(generators, sources, labels, [""] * 200, 3)):
        fold[members] = number
    for names, label in ((generators, 1), (sources, 0)):
        homes = {(n, f) for n, f, own in zip(names, fold, labels, strict=True) if own == label}
        assert len(homes) == len({n for n, _ in homes}) == 9
    shares = [np.mean([labels[k] for k in np.flatnonzero(fold == number)]) for number in range(3)]
    assert max(shares) - min(shares) < 0.25, "every fold has both classes in much the same shares"


def test_generator_folds_keep_groups_together() -> None:
    labels, groups = [1, 0, 1, 0] * 5, [f"pair {k // 2}" for k in range(20)]
    folds = generator_folds([f"g{k}" for k in range(20)], [f"s{k}" for k in range(20)], labels, groups, 3)
    assert sorted(k for fold in folds for k in fold) == list(range(20))
    assert len({(groups[k], number) for number, fold in enumerate(folds) for k in fold}) == 10


RESAMPLED = [
    (auc, auc_of),
    (eer, eer_of),
    (lambda y, s: tpr_at_fpr(y, s, 0.01), tpr_at_one_percent_of),
    (cllr, cllr_of),
    (cllr_min, cllr_min_of),
    (brier, brier_of),
    (ece, ece_of),
]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("metric", "resampled"), RESAMPLED, ids=lambda f: getattr(f, "__name__", "tpr"))
def test_resampled_metric_is_the_metric_of_the_items_written_out(
    metric: Metric, resampled: ResampledMetric, ties: bool
) -> None:
    labels, scores = random_scores(5, 120)
    scores = np.round(scores) if ties else scores
    units = np.array([str(k // 4) for k in range(120)])
    found = np.concatenate([resampled(t) for t in tallies(labels, scores, units, rounds=20, seed=3)])
    rng, order = np.random.default_rng(3), np.unique(units)
    for value, drawn in zip(found, rng.integers(0, len(order), (20, len(order))), strict=True):
        rows = np.concatenate([np.flatnonzero(units == order[k]) for k in drawn])
        assert value == pytest.approx(metric(labels[rows], scores[rows]), abs=1e-9)


def test_resamples_without_a_class_are_left_out() -> None:
    labels, units = np.array([0, 1]), np.array(["a", "b"])
    found = list(tallies(labels, np.array([0.0, 1.0]), units, rounds=200))
    assert 50 < sum(len(t.spoof) for t in found) < 150
