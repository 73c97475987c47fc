"""Figures of heatmaps by hand, heads without the makers that they are judged on, and checks against random."""

from __future__ import annotations

import numpy as np
import pytest

from deepscreen.detectors.view_head import with_patches_from
from deepscreen.evaluation.map_figures import ReadMap, by_maker, iou, map_figures, pixel_auc, warmth
from deepscreen.training.makers.people import FACE_MAKERS
from deepscreen.training.makers.scenes import SCENE_MAKERS
from deepscreen.training.map_fit import FITTED_BLENDS, GROUPS, UNTOUCHED, part_of, without_group

MADE = np.zeros(196, np.float32)
MADE[:49] = 1.0
RIGHT, WRONG, FLAT = np.where(MADE > 0, 2.0, -2.0), np.where(MADE > 0, -2.0, 2.0), np.zeros(196)


@pytest.mark.parametrize(("logits", "auc", "overlap"), [(RIGHT, 1.0, 1.0), (WRONG, 0.0, 0.0), (FLAT, 0.5, 0.0)])
def test_map_that_is_right_wrong_or_flat(logits: np.ndarray, auc: float, overlap: float) -> None:
    assert pixel_auc(logits, MADE) == pytest.approx(auc)
    assert iou(logits, MADE) == pytest.approx(overlap)


def test_patches_that_are_made_in_part_count_in_part() -> None:
    """One patch of three is warm and half made: its pixels are as often right as wrong."""
    mask = np.array([0.5, 0.0, 0.0], np.float32)
    logits = np.array([2.0, 0.0, 0.0])
    assert iou(logits, mask) == pytest.approx(0.5 / 1.0)
    # Made pixels (weight 0.5, at 2.0) against untouched ones (0.5 at 2.0: a tie; 2 at 0.0: won).
    assert pixel_auc(logits, mask) == pytest.approx((0.5 * 0.5 + 2.0) / 2.5)


def test_figures_are_means_of_what_can_be_judged() -> None:
    maps = [ReadMap("a", RIGHT, MADE), ReadMap("b", WRONG, MADE), ReadMap("b", RIGHT, np.zeros(196, np.float32))]
    figures = by_maker(maps)
    assert (figures["n"], figures["pixel_auc"], figures["pointing"]) == (2, 0.5, 0.5)
    assert figures["pointing_by_chance"] == 0.25
    assert {name: one["n"] for name, one in figures["by_maker"].items()} == {"a": 1, "b": 1}
    assert map_figures([]) == {"n": 0}


def test_pooled_order_counts_the_level_of_each_map() -> None:
    shifted = ReadMap("a", RIGHT - 10, MADE)
    figures = map_figures([ReadMap("a", RIGHT, MADE), shifted])
    assert figures["pixel_auc"] == 1.0
    assert figures["pixel_auc_pooled"] < 0.8


def test_warmth_counts_pictures_that_stay_cold() -> None:
    cold, spot, warm = np.full(196, -1.0), np.full(196, -1.0), np.full(196, 3.0)
    spot[:4] = 2.0  # 2.04 %
    found = warmth([cold, cold, spot, warm])
    assert (found["n"], found["pictures_within_limit"]) == (4, 0.5)
    assert found["warm_share_mean"] == pytest.approx((4 / 196 + 1) / 4, abs=1e-3)
    assert warmth([]) == {"n": 0}


def test_every_maker_is_in_one_group() -> None:
    named = [maker for group in GROUPS.values() for maker in group]
    assert sorted(named) == sorted([*SCENE_MAKERS, *FACE_MAKERS])
    assert {part_of(maker) for maker in named} == set(GROUPS)
    assert [part_of(v) for v in ("base", "laundered", "twin", "spliced", "blend-1", "twin-1")] == [
        UNTOUCHED, UNTOUCHED, UNTOUCHED, FITTED_BLENDS, FITTED_BLENDS, UNTOUCHED,
    ]  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_group_that_is_judged_is_not_in_the_fit(group: str) -> None:
    parts = without_group(group)
    assert group not in parts
    assert set(GROUPS) - {group} <= parts
    assert (FITTED_BLENDS in parts) == (group != "self")


def test_exchanged_patches_and_no_others_come_from_the_other_view() -> None:
    view, other = np.zeros((224, 224, 3), np.uint8), np.full((224, 224, 3), 9, np.uint8)
    out = with_patches_from(view, other, np.array([0, 15]))
    assert (out[:16, :16] == 9).all()
    assert (out[16:32, 16:32] == 9).all()
    assert out.astype(int).sum() == 2 * 16 * 16 * 3 * 9
