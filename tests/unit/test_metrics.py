"""Every metric twice: against numbers worked out by hand, and against arithmetic that is not the module's own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepscreen.evaluation.figures import MIN_PER_CLASS, figure
from deepscreen.evaluation.metrics import auc, bootstrap_interval, cllr, cllr_min, eer, tpr_at_fpr

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.7, 0.4, 0.6, 0.8, 0.9])  # 14 of 16 pairs in the right order


def random_case(seed: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [90, 60]))
    scores = rng.normal(labels * 1.2, 1.0)
    return labels, np.round(scores) if ties else scores


def error_rates(labels: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """(FPR, FNR) at every threshold "score >= t", by counting, strictest first."""
    thresholds = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    spoof, bona_fide = scores[labels == 1], scores[labels == 0]
    return [(float((bona_fide >= t).mean()), float((spoof < t).mean())) for t in thresholds]


def counted_eer(labels: np.ndarray, scores: np.ndarray) -> float:
    rates = error_rates(labels, scores)
    for (fpr0, fnr0), (fpr1, fnr1) in itertools.pairwise(rates):
        before, after = fpr0 - fnr0, fpr1 - fnr1
        if before <= 0 <= after:
            share = 0.0 if before == after else -before / (after - before)
            return fpr0 + share * (fpr1 - fpr0)
    raise AssertionError("FPR and FNR never cross")


def test_auc_by_hand() -> None:
    assert auc(LABELS, SCORES) == pytest.approx(14 / 16)


def test_auc_counts_ties_half() -> None:
    assert auc(np.array([0, 1, 1]), np.array([1.0, 1.0, 2.0])) == pytest.approx(0.75)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_the_share_of_ordered_pairs(ties: bool) -> None:
    labels, scores = random_case(0, ties=ties)
    pairs = scores[labels == 1][:, None] - scores[labels == 0]
    assert auc(labels, scores) == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_eer_by_hand() -> None:
    assert eer(LABELS, SCORES) == pytest.approx(0.25)


@pytest.mark.parametrize(("scores", "expected"), [(LABELS * 1.0, 0.0), (LABELS * -1.0, 1.0), (LABELS * 0.0, 0.5)])
def test_eer_at_the_ends(scores: np.ndarray, expected: float) -> None:
    assert eer(LABELS, scores) == pytest.approx(expected)


def test_eer_lies_on_the_straight_line_where_ties_jump_over_it() -> None:
    """Thresholds give (FPR, FNR) = (0, 1/2) and (1/2, 0): neither is equal, the line between crosses at 1/4."""
    assert eer(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 1.0, 2.0])) == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_eer_agrees_with_counting(seed: int, ties: bool) -> None:
    labels, scores = random_case(seed, ties=ties)
    assert eer(labels, scores) == pytest.approx(counted_eer(labels, scores))


def test_tpr_at_fpr_by_hand() -> None:
    assert tpr_at_fpr(LABELS, SCORES, 0.0) == pytest.approx(0.5)
    assert tpr_at_fpr(LABELS, SCORES, 0.24) == pytest.approx(0.5)
    assert tpr_at_fpr(LABELS, SCORES, 0.25) == pytest.approx(1.0)


def test_tpr_at_fpr_agrees_with_counting() -> None:
    labels, scores = random_case(3, ties=True)
    best = max(1 - fnr for fpr, fnr in error_rates(labels, scores) if fpr <= 0.1)
    assert tpr_at_fpr(labels, scores, 0.1) == pytest.approx(best)


def test_cllr_is_one_without_information() -> None:
    assert cllr(LABELS, np.zeros(8)) == pytest.approx(1.0)


def test_cllr_by_hand() -> None:
    """Two items with LR 3 for spoof and 1/3 for bona fide: log2(1 + 1/3) on both sides."""
    llrs = np.array([-math.log(3), math.log(3)])
    assert cllr(np.array([0, 1]), llrs) == pytest.approx(math.log2(4 / 3))


def test_cllr_punishes_what_misleads_more_than_silence() -> None:
    assert cllr(np.array([0, 1]), np.array([5.0, -5.0])) > 5
    assert cllr(np.array([0, 1]), np.array([-800.0, 800.0])) == pytest.approx(0.0)


def test_cllr_does_not_depend_on_the_share_of_the_classes() -> None:
    llrs = np.array([-1.0, 2.0])
    assert cllr(np.array([0, 1]), llrs) == pytest.approx(cllr(np.array([0, 0, 0, 1]), llrs[[0, 0, 0, 1]]))


def test_cllr_min_is_zero_for_separated_classes_and_one_for_none() -> None:
    assert cllr_min(LABELS, LABELS * 1.0) == pytest.approx(0.0, abs=1e-9)
    assert cllr_min(LABELS, np.zeros(8)) == pytest.approx(1.0)


def test_cllr_min_ignores_any_monotone_map_and_is_never_beaten() -> None:
    labels, scores = random_case(4)
    assert cllr_min(labels, scores) == pytest.approx(cllr_min(labels, np.exp(scores)))
    assert all(
        cllr_min(labels, scores) <= cllr(labels, slope * scores + offset)
        for slope in (0.5, 1.2, 2)
        for offset in (-1, -0.7)
    )


def test_bootstrap_resamples_whole_groups() -> None:
    """One source only: each round holds just the same files, so the interval has no width."""
    one = bootstrap_interval(auc, LABELS, SCORES, np.array(["s"] * 8), rounds=20)
    many = bootstrap_interval(auc, LABELS, SCORES, np.array(list("abcdefgh")), rounds=200)
    assert one.low == one.value == one.high == auc(LABELS, SCORES)
    assert many.low < many.value < many.high or many.high == 1.0


def test_bootstrap_never_splits_a_group() -> None:
    groups = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
    seen: list[int] = []

    def odd_files(labels: np.ndarray, scores: np.ndarray) -> float:
        seen.extend(
            int((scores == value).sum() != (scores == other).sum())
            for value, other in zip(SCORES[::2], SCORES[1::2], strict=True)
        )
        return 0.0

    bootstrap_interval(odd_files, LABELS, SCORES, groups, rounds=50)
    assert seen
    assert sum(seen) == 0


def test_bootstrap_is_deterministic_and_follows_its_seed() -> None:
    labels, scores = random_case(5)
    groups = np.array([str(k // 5) for k in range(len(labels))])
    first, again, other = (bootstrap_interval(auc, labels, scores, groups, seed=s, rounds=50) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_figure_gives_counts_alone_for_a_handful() -> None:
    few = MIN_PER_CLASS - 1
    labels = np.array([1] * few + [0] * 20)
    found = figure(labels, np.zeros(len(labels)), ["s"] * len(labels))
    assert found == {"n_spoof": few, "n_bona_fide": 20, "n_sources": 1}


def test_figure_states_n_and_intervals() -> None:
    labels, scores = random_case(6)
    found = figure(labels, scores, [str(k // 5) for k in range(len(labels))], spoof_llrs=np.zeros(len(labels)))
    assert (found["n_spoof"], found["n_bona_fide"], found["n_sources"]) == (60, 90, 30)
    assert found["auc_low"] <= found["auc"] == round(auc(labels, scores), 3) <= found["auc_high"]
    assert found["eer_low"] <= found["eer"] <= found["eer_high"]
    assert found["cllr"] == 1.0
