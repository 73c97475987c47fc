"""Leave-one-out: a picture is never scored by what saw its source, its generator or its group."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepscreen.errors import ConfigError
from deepscreen.evaluation.datasets.item import Item, Label, labelled_file
from deepscreen.evaluation.held_out import RELEASE_SPLIT, score_held_out
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.evaluation.score_rows import ScoredSet
from deepscreen.evaluation.strata import Scores, measure
from deepscreen.settings import VerdictPolicy
from deepscreen.training.fit_image import HoldOut, fold_of
from deepscreen.training.image_features import ViewFeatures
from deepscreen.training.labelled import LabelledFile, item_rng

PATCH_WIDTH, CLASS_WIDTH = 6, 24
WEAK, STRONG = 0.7, 2.0  # a trace of the class, in noise of 3, in each of the places
SOURCES = [name for k in range(40) if not is_release_split(name := f"source {k}")][:18]
KEPT_APART = next(name for k in range(40) if is_release_split(name := f"source {k}"))


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Nine sources of each class, four pictures each; spoofs of three generators; one source of the release split."""
    root = tmp_path_factory.mktemp("pictures")
    found = []
    for number, source in enumerate([*SOURCES, KEPT_APART]):
        label = number % 2
        for k in range(4):
            path = root / f"{number:02}-{k}.png"
            Image.new("RGB", (300, 200), (number, k, 0)).save(path)
            said = Label(label, source, "gan_face" if label else "photo", f"g{number % 6}" if label else "")
            found.append(Item(labelled_file(root, path, said), "image"))
    return found


def views(file: LabelledFile, trace_of_class: float | None) -> list[ViewFeatures]:
    """What a backbone would give: noise, and a trace of the class, or of nothing but the source."""
    if file.kind == "broken":
        raise OSError("not a picture")
    rng = item_rng(file.key, "views", 0)
    if trace_of_class is not None:
        trace = np.full(CLASS_WIDTH, trace_of_class if file.label else -trace_of_class)
    else:  # of the source, in a place of its own: what other sources teach says nothing of it
        trace = 60.0 * (np.arange(CLASS_WIDTH) == [*SOURCES, KEPT_APART].index(file.source))
    found = []
    for subject in ("whole", "face") if int(file.path.stem[-1]) < 2 else ("whole",):
        classes = (trace + rng.normal(0, 3, CLASS_WIDTH)).reshape(2, -1).astype(np.float32)
        patches = rng.normal(0, 3, (196, PATCH_WIDTH)).astype(np.float16)
        last = rng.normal(size=8).astype(np.float32)
        found.append(ViewFeatures(file.key, "base", subject, file.label, classes, patches, None, last))
    return found


def tied(items: list[Item]) -> list[Item]:
    """Sources tied in pairs of both classes, so that no fold of so few sources holds one class alone."""
    pairs = [SOURCES.index(item.file.source) // 2 if item.file.source in SOURCES else -1 for item in items]
    return [replace(i, file=replace(i.file, group=f"pair {n}")) for i, n in zip(items, pairs, strict=True)]


def score(
    items: list[Item], hold_out: HoldOut = "source", *, trace: float | None = WEAK, is_fused: bool = True
) -> ScoredSet:
    return score_held_out(
        items,
        lambda file: views(file, trace),
        hold_out,
        is_fused=is_fused,
        policy=VerdictPolicy(),
        on_item=lambda: None,
    )


@pytest.mark.parametrize("hold_out", ["source", "generator"])
def test_trace_of_the_class_is_found_on_what_was_held_out(items: list[Item], hold_out: HoldOut) -> None:
    scores = Scores.of(score(tied(items) if hold_out == "source" else items, hold_out, trace=STRONG).rows)
    figures = measure(scores, "all").figures
    assert len(scores.rows) == 4 * len(SOURCES)
    assert figures["auc"].value > 0.8
    assert figures["cllr"].value < 0.8


def test_trace_of_the_source_alone_does_not_help(items: list[Item]) -> None:
    """Split by file, such features would look perfect: a source has one class only."""
    figures = measure(Scores.of(score(tied(items), trace=None).rows), "all").figures
    assert 0.3 < figures["auc"].value < 0.7
    assert figures["cllr"].value > 0.9


def test_release_split_is_counted_and_not_scored(items: list[Item]) -> None:
    rows = [row for row in score(items, is_fused=False).rows if row.source == KEPT_APART]
    assert {row.absence for row in rows} == {RELEASE_SPLIT}
    assert len(rows) == 4


def test_unreadable_and_unfitted_kinds_are_counted(items: list[Item]) -> None:
    root = items[0].file.path.parent
    odd = [
        Item(labelled_file(root, root / f"x{kind}.png", Label(0, SOURCES[0], kind)), "image")
        for kind in ("broken", "nonphoto")
    ]
    rows = {row.path: row for row in score([*items, *odd], is_fused=False).rows}
    assert rows["xbroken.png"].absence == "undecodable"
    assert rows["xnonphoto.png"].absence == "not_applicable"


def test_fusion_changes_pictures_with_a_face_only(items: list[Item]) -> None:
    alone, fused = score(items, is_fused=False).rows, score(items).rows
    changed = {a.path for a, b in zip(alone, fused, strict=True) if a.log10_lr != b.log10_lr}
    assert changed
    assert all(int(Path(path).stem[-1]) < 2 for path in changed)
    assert [a.spoof_logit for a in alone] == [b.spoof_logit for b in fused]


def test_generator_is_never_in_two_folds(items: list[Item]) -> None:
    files = [item.file for item in items]
    folds = fold_of(files, hold_out="generator")
    for name, members in {
        f.generator: [k for k, g in enumerate(files) if g.generator == f.generator] for f in files
    }.items():
        if name:
            assert len(set(folds[members])) == 1
    assert [int(f) for f in fold_of(files)] != [int(f) for f in folds]


def test_quality_is_measured_on_the_picture(items: list[Item]) -> None:
    assert {row.quality for row in score(items, is_fused=False).rows if row.is_scored} == {
        "png, short side below 256 px"
    }


def test_too_few_sources_are_refused(items: list[Item]) -> None:
    few = [item for item in items if item.file.source in SOURCES[:2]]
    with pytest.raises(ConfigError, match=r"leave-one-source-out: 8 pictures of 2 sources are too few"):
        score(few)


def test_other_media_than_pictures_are_refused(items: list[Item], tmp_path: Path) -> None:
    clip = Item(labelled_file(tmp_path, tmp_path / "a.mp4", Label(0, "s")), "video")
    with pytest.raises(ConfigError, match="is there for pictures only, and the data set holds video"):
        score([*items, clip])
