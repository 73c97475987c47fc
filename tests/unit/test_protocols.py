"""Splits by source: what was fitted on can never meet what is held out."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from deepscreen.evaluation.protocols import is_release_split, joined_clusters, source_folds, source_weights


def random_items(seed: int) -> tuple[list[str], list[str]]:
    """120 items of 30 sources; a third belong to groups that tie sources."""
    rng = np.random.default_rng(seed)
    sources = [f"source {k}" for k in rng.integers(0, 30, 120)]
    groups = [f"group {rng.integers(0, 12)}" if rng.random() < 0.3 else "" for _ in range(120)]
    return sources, groups


@pytest.mark.parametrize("seed", range(5))
def test_no_source_and_no_group_is_in_two_folds(seed: int) -> None:
    sources, groups = random_items(seed)
    fold_of = {int(i): number for number, members in enumerate(source_folds(sources, groups, 4)) for i in members}
    assert sorted(fold_of) == list(range(120))
    for names in (sources, groups):
        homes: dict[str, set[int]] = {}
        for item, name in enumerate(names):
            homes.setdefault(name, set()).add(fold_of[item])
        assert [name for name, folds in homes.items() if name and len(folds) > 1] == []


def test_groups_join_sources_over_several_steps() -> None:
    clusters = joined_clusters(["a", "b", "b", "c", "d"], ["1", "1", "2", "2", ""])
    assert len(set(clusters[:4])) == 1
    assert clusters[4] != clusters[0]


def test_group_and_source_of_one_name_are_not_confused() -> None:
    clusters = joined_clusters(["a", "b"], ["b", ""])
    assert clusters[0] != clusters[1]


def test_folds_do_not_depend_on_the_order_of_items() -> None:
    sources, groups = random_items(7)
    order = np.random.default_rng(1).permutation(120)
    first = source_folds(sources, groups, 4)
    second = source_folds([sources[k] for k in order], [groups[k] for k in order], 4)
    assert [sorted(order[m].tolist()) for m in second] == [sorted(m.tolist()) for m in first]


def test_folds_are_balanced() -> None:
    sources = [f"s{k // 3}" for k in range(90)]
    assert [len(m) for m in source_folds(sources, [""] * 90, 3)] == [30, 30, 30]


def test_release_split_is_the_same_for_ever() -> None:
    """Written out: a change here would move sources that were fitted on into the split that judges releases."""
    assert [k for k in range(24) if is_release_split(f"s{k}")] == [7, 8, 13, 23]
    names = [f"source-{k}" for k in range(50)]
    assert [is_release_split(n) for n in names] == [hashlib.sha256(n.encode()).hexdigest()[:2] < "33" for n in names]


def test_release_split_is_about_a_fifth() -> None:
    share = np.mean([is_release_split(f"repository/{k}") for k in range(4000)])
    assert 0.17 < share < 0.23


def test_weights_give_both_classes_the_same_say() -> None:
    sources = ["a"] * 50 + ["b"] * 2 + ["c"] * 9
    labels = [1] * 40 + [0] * 10 + [0] * 2 + [1] * 9
    weights = source_weights(sources, labels)
    spoof = np.array(labels) == 1
    assert weights.mean() == pytest.approx(1.0)
    assert weights[spoof].sum() == pytest.approx(weights[~spoof].sum())


def test_weight_of_a_source_is_the_root_of_its_size() -> None:
    weights = source_weights(["big"] * 16 + ["small"] * 4 + ["other"], [1] * 20 + [0])
    assert weights[:16].sum() / weights[16:20].sum() == pytest.approx(2.0)
    assert len(set(np.round(weights[:16], 12))) == 1


def test_weights_of_one_class_alone_are_finite() -> None:
    assert source_weights(["a", "b"], [1, 1]).tolist() == [1.0, 1.0]
