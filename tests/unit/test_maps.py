"""Maps are judged by heads that saw neither the maker's like nor the source; on made-up patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepscreen.evaluation.maps import EXTERNAL, MapData, external_mask, map_report
from deepscreen.evidence.scale import WARM
from deepscreen.training.forged_features import TWIN
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng
from deepscreen.training.map_fit import MOST_WARM_SHARE, fit_map, part_of

WIDTH, SOURCES, TRACE = 8, 9, 4.0
MAKERS = ("splice", "diffusion_inpaint", "copy_move", "self_splice")  # one of each group
OWN_TRACE = {part_of(maker): 1 + k for k, maker in enumerate(MAKERS)}  # which dimension shows a group alone


@pytest.fixture
def files(tmp_path: Path) -> list[LabelledFile]:
    """Three pictures of each source: two bona fide, one spoof with a mask that covers its right half."""
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return [
        LabelledFile(Path("p"), f"{s}-{k}", int(k == 2), "splice" if k == 2 else "photo", "g", f"s{s}", "",
                     tmp_path / "mask.png" if k == 2 else None)
        for s in range(SOURCES) for k in range(3)
    ]  # fmt: skip


def view(file: LabelledFile, variant: str, label: int, mask: np.ndarray | None, dimension: int) -> ViewFeatures:
    rng = item_rng(file.key, variant, 0)
    patches = rng.normal(size=(196, WIDTH))
    if mask is not None:
        patches[:, dimension] += TRACE * mask
    classes = rng.normal(size=(6, 4)).astype(np.float32)
    return ViewFeatures(
        file.key, variant, "whole", label, classes, patches.astype(np.float16), mask, np.zeros(4, np.float32)
    )


def some_mask(file: LabelledFile, variant: str) -> np.ndarray:
    mask = np.zeros((14, 14), np.float32)
    top, left = item_rng(file.key, variant + " mask", 0).integers(0, 9, 2)
    mask[top : top + 5, left : left + 5] = 1.0
    return mask.ravel()


def data(files: list[LabelledFile], dimension_of: Callable[[str], int]) -> MapData:
    """``dimension_of``: where a part's trace shows."""

    def views(file: LabelledFile) -> list[ViewFeatures]:
        if file.label:
            return [replace(view(file, "base", 1, external_mask(file), dimension_of("self")), mask=None)]
        spliced = view(file, "spliced", 1, some_mask(file, "spliced"), dimension_of("self"))
        masked = [view(file, m, 1, some_mask(file, m), dimension_of(part_of(m))) for m in MAKERS]
        return [view(file, "base", 0, None, 0), spliced, view(file, TWIN, 0, None, 0), *masked]

    logits = {file.key: 0.1 * k for k, file in enumerate(files)}
    return MapData(files, np.array([k // 3 % 3 for k in range(len(files))]), "whole", views, logits)


def test_trace_that_all_makers_leave_is_found_everywhere(files: list[LabelledFile]) -> None:
    found = map_report(data(files, lambda part: 0), seed=0)
    assert found["pixel_auc"] > 0.9
    assert found["pointing"] == 1.0
    assert found[EXTERNAL]["pixel_auc"] > 0.9
    assert (found[EXTERNAL]["n"], found["untouched"]["n"]) == (SOURCES, 2 * SOURCES)
    assert set(found["by_maker"]) == set(MAKERS)
    assert found["n"] == 2 * SOURCES * len(MAKERS)


def test_trace_that_a_group_leaves_alone_is_not_found_without_the_group(files: list[LabelledFile]) -> None:
    """Were a group in its own fit, it would be found as well as in the test above."""
    found = map_report(data(files, lambda part: OWN_TRACE[part]), seed=0)
    for maker in MAKERS:
        assert found["by_maker"][maker]["pixel_auc"] < 0.75
    assert found[EXTERNAL]["pixel_auc"] > 0.85  # of the fitted blends' kind


def test_fitted_map_is_cold_on_untouched_pictures_and_warm_where_a_maker_was(files: list[LabelledFile]) -> None:
    own = data(files, lambda part: 0)
    honest = np.linspace(-3, 1, 50)
    head = fit_map(own.files, own.folds, "whole", own.views, honest, seed=0)
    assert head.lifted_from == pytest.approx(np.quantile(honest, 0.985))
    cold, warm = [], []
    for file in files:
        for one in own.views(file):
            heat = head.heat(one.patches, -9.0).ravel()
            if one.mask is None and one.label == 0:
                cold.append((heat > WARM).mean() <= MOST_WARM_SHARE)
            elif one.mask is not None:
                warm.append((heat > WARM)[one.mask > 0].mean())
    assert np.mean(cold) > 0.9
    assert np.mean(warm) > 0.5


def test_external_mask_is_the_share_of_each_patch(files: list[LabelledFile]) -> None:
    grid = external_mask(files[2]).reshape(14, 14)
    assert grid[:, :6].max() < 0.05
    assert grid[:, 8:].min() > 0.95
    with pytest.raises(ValueError, match="has no mask"):
        external_mask(files[0])
