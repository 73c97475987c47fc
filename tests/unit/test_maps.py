"""Maps are judged by heads that saw neither the maker's like nor the source; on made-up patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepscreen.evaluation.map_heads import GROUPS, part_of
from deepscreen.evaluation.maps import EXTERNAL, MapData, external_mask, map_report
from deepscreen.training import view_fit
from deepscreen.training.forged_features import TWIN
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng

WIDTH, SOURCES, TRACE = 8, 9, 4.0
MAKERS = ("splice", "diffusion_inpaint", "copy_move", "self_splice")  # one of each group
OWN_TRACE = {part_of(maker): 1 + k for k, maker in enumerate(MAKERS)}  # which dimension shows a group alone


@pytest.fixture(autouse=True)
def _small_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_fit, "PATCH_WIDTH", WIDTH)


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


def report(files: list[LabelledFile], dimension_of: Callable[[str], int]) -> dict[str, Any]:
    """``dimension_of``: where a part's trace shows."""

    def read(file: LabelledFile) -> list[ViewFeatures]:
        if file.label:
            external = replace(view(file, "base", 1, external_mask(file), dimension_of("self")), mask=None)
            return [external]
        spliced = view(file, "spliced", 1, some_mask(file, "spliced"), dimension_of("self"))
        return [view(file, "base", 0, None, 0), spliced]

    def made(file: LabelledFile) -> list[ViewFeatures]:
        masked = [view(file, m, 1, some_mask(file, m), dimension_of(part_of(m))) for m in MAKERS]
        return [view(file, TWIN, 0, None, 0), *masked]

    return map_report(MapData.of(files, read, made, n_hosts=14, seed=0), "whole", seed=0)


def test_trace_that_all_makers_leave_is_found_everywhere(files: list[LabelledFile]) -> None:
    found = report(files, lambda part: 0)
    for recipe in ("as_fitted", "with_makers"):
        assert found[recipe]["pixel_auc"] > 0.95
        assert found[recipe]["pointing"] == 1.0
        assert found[recipe][EXTERNAL]["pixel_auc"] > 0.95
        assert (found[recipe][EXTERNAL]["n"], found[recipe]["untouched"]["n"]) == (SOURCES, 2 * SOURCES)
    assert set(found["with_makers"]["by_maker"]) == set(MAKERS)
    assert set(found["as_fitted"]["by_maker"]) == set(MAKERS) - GROUPS["self"]
    assert found["with_makers"]["n"] == 14 * len(MAKERS)


def test_trace_that_a_group_leaves_alone_is_not_found_without_the_group(files: list[LabelledFile]) -> None:
    """Were a group in its own fit, it would be found as well as in the test above."""
    found = report(files, lambda part: OWN_TRACE[part])
    for maker in MAKERS:
        assert found["with_makers"]["by_maker"][maker]["pixel_auc"] < 0.75
    for maker in set(MAKERS) - GROUPS["self"]:
        assert found["as_fitted"]["by_maker"][maker]["pixel_auc"] < 0.75
    assert found["with_makers"][EXTERNAL]["pixel_auc"] > 0.9  # of the fitted blends' kind


def test_external_mask_is_the_share_of_each_patch(files: list[LabelledFile]) -> None:
    grid = external_mask(files[2]).reshape(14, 14)
    assert grid[:, :6].max() < 0.05
    assert grid[:, 8:].min() > 0.95
    with pytest.raises(ValueError, match="has no mask"):
        external_mask(files[0])
