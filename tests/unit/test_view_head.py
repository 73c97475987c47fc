"""The head on one view: its numbers by hand, its mask, and its indifference to company."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deepscreen.detectors.clip_features import GRID, ViewTokens
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.patch_head import PatchHead, centred
from deepscreen.detectors.view_head import MASKED_SHARE, ViewHead, masked_views
from deepscreen.detectors.views import VIEW_PX, whole_view

PATCHES = GRID * GRID
CELL_PX = VIEW_PX // GRID


def linear(size: int, seed: int = 0) -> LinearHead:
    rng = np.random.default_rng(seed)
    return LinearHead(rng.normal(size=size), rng.uniform(0.5, 2, size), rng.normal(size=size) / size**0.5, 0.25)


def noise_view(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (VIEW_PX, VIEW_PX, 3), dtype=np.uint8)


def changed_patches(view: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(14, 14): whether any pixel of the patch differs."""
    differs = (view != other).any(axis=2)
    return differs.reshape(GRID, CELL_PX, GRID, CELL_PX).any(axis=(1, 3))


def test_linear_head_by_hand() -> None:
    head = LinearHead(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([3.0, -1.0]), 0.5)
    assert head.logit(np.array([[5.0, -2.0]])).tolist() == [3 * 2 - 1 * -1 + 0.5]


@pytest.mark.parametrize("size", [3, 2304, 4608])
def test_linear_head_is_bitwise_the_same_alone_and_in_company(size: int) -> None:
    head, rows = linear(size), np.random.default_rng(1).normal(size=(33, size)).astype(np.float32)
    together = head.logit(rows.astype(np.float64))
    assert [head.logit(row.astype(np.float64)).item() for row in rows] == together.tolist()
    assert head.logit(rows[::-1].astype(np.float64)).tolist() == together[::-1].tolist()


def test_linear_head_survives_the_way_through_arrays() -> None:
    head, row = linear(7), np.arange(7.0)
    arrays = head.arrays("view.pool")
    assert set(arrays) == {f"view.pool.{part}" for part in ("mean", "scale", "coef", "intercept")}
    assert LinearHead.from_arrays(arrays, "view.pool").logit(row) == head.logit(row)


def test_missing_array_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"other\.mean"):
        LinearHead.from_arrays(linear(2).arrays("view"), "other")


def patch_head(weights: NDArray[np.float64], offset: float = 0.0, lifted_from: float = np.inf) -> PatchHead:
    return PatchHead(weights, offset, lifted_from)


def view_head() -> ViewHead:
    return ViewHead(linear(6 * 768, 1), patch_head(np.random.default_rng(2).normal(size=2304) / 48, -0.5, 0.2))


def tokens(seed: int = 0) -> ViewTokens:
    rng = np.random.default_rng(seed)
    return ViewTokens(rng.normal(size=(6, 768)).astype(np.float32), rng.normal(size=(PATCHES, 2304)).astype(np.float32))


def test_class_tokens_alone_give_the_log_odds_of_the_view() -> None:
    head, seen = view_head(), tokens()
    logit, patches = head.read(seen)
    assert logit == head.logit(seen) == float(head.classes.logit(seen.classes.ravel().astype(np.float64)))
    assert np.array_equal(patches, head.patches.heat(seen.patches, logit))


def test_patch_map_has_rows_from_top_to_bottom_and_spreads_to_neighbours() -> None:
    """Token row 14 y + x is the patch (y, x); it and its eight neighbours share what it says."""
    patches = np.zeros((PATCHES, 4), np.float32)
    patches[2 * GRID + 5, 1] = 18.0
    found = patch_head(np.array([0.0, 1.0, 0.0, 0.0]), offset=-3.0).heat(patches, 0.0)
    expected = np.full((GRID, GRID), -3.0 - 18 / PATCHES)
    expected[1:4, 4:7] += 2.0
    assert found == pytest.approx(np.log1p(np.exp(expected)))


def test_what_all_patches_share_moves_no_map() -> None:
    head, seen = view_head().patches, tokens().patches
    brighter = seen + np.random.default_rng(5).normal(size=2304)
    assert head.heat(brighter, 0.0) == pytest.approx(head.heat(seen, 0.0), abs=1e-4)


def test_map_is_lifted_by_what_the_view_exceeds() -> None:
    seen = tokens().patches
    head = patch_head(np.zeros(2304), offset=-2.0, lifted_from=1.5)
    assert [float(head.heat(seen, logit)[0, 0]) for logit in (-9.0, 1.5, 40.0)] == pytest.approx(
        [0.127, 0.127, 36.5], abs=1e-3
    )


def test_head_reads_smoothed_deviations_as_it_was_fitted_on_them() -> None:
    head, seen = view_head().patches, tokens().patches
    as_fitted = np.log1p(np.exp(centred(seen) @ head.weights + head.offset))
    assert as_fitted == pytest.approx(head.heat(seen, -9.0).ravel(), abs=1e-4)


def test_view_head_survives_the_way_through_arrays() -> None:
    head, seen = view_head(), tokens()
    again = ViewHead.from_arrays(head.arrays("frame"), "frame")
    assert again.logit(seen) == head.logit(seen)
    assert np.array_equal(again.read(seen)[1], head.read(seen)[1])


def test_masks_cover_a_tenth_of_the_patches_and_whole_patches_only() -> None:
    view, logits = noise_view(), np.random.default_rng(1).normal(size=(GRID, GRID))
    count = round(MASKED_SHARE * PATCHES)
    for masked in masked_views(view, logits):
        changed = changed_patches(view, masked)
        assert changed.sum() == count == 20
        untouched = np.kron(~changed, np.ones((CELL_PX, CELL_PX), bool))
        assert np.array_equal(view[untouched], masked[untouched])


def test_first_mask_lies_on_the_hottest_patches() -> None:
    logits = np.random.default_rng(2).normal(size=(GRID, GRID))
    hottest, at_random = (changed_patches(noise_view(), m) for m in masked_views(noise_view(), logits))
    assert logits[hottest].min() > logits[~hottest].max()
    assert not np.array_equal(hottest, at_random)


def test_masking_is_the_same_every_time_and_leaves_the_view_alone() -> None:
    view, logits = noise_view(), np.zeros((GRID, GRID))
    before = view.copy()
    first, second = masked_views(view, logits), masked_views(view, logits)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert np.array_equal(view, before)


def test_masked_patches_hold_nothing_that_can_be_read() -> None:
    view, logits = noise_view(), np.random.default_rng(3).normal(size=(GRID, GRID))
    masked, _ = masked_views(view, logits)
    inside = np.kron(changed_patches(view, masked), np.ones((CELL_PX, CELL_PX), bool))
    assert masked[inside].std() < 0.1 * view[inside].std()


@pytest.mark.parametrize("size", [(48, 48), (224, 224), (1000, 300), (333, 2501), (4032, 3024)])
def test_whole_view_keeps_every_corner_and_knows_where_it_was(size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[: height // 2, : width // 2] = (250, 0, 0)
    pixels[height // 2 :, width // 2 :] = (0, 0, 250)
    view = whole_view(pixels)
    assert view.pixels.shape == (VIEW_PX, VIEW_PX, 3)
    assert view.pixels.dtype == np.uint8
    assert np.abs(view.pixels[20, 20].astype(int) - (250, 0, 0)).max() <= 2
    assert np.abs(view.pixels[-20, -20].astype(int) - (0, 0, 250)).max() <= 2
    assert (view.to_source @ [1, 1, 1]).tolist() == [width, height]
    assert (view.to_source @ [0, 0, 1]).tolist() == [0, 0]
