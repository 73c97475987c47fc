"""Attacks stay within their bounds and push where they are told; rates are counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.nets.clip import WEIGHTS_NAME, ClipBackbone
from deepscreen.detectors.view_head import ViewHead
from deepscreen.detectors.views import whole_view
from deepscreen.evaluation.attacks import Target, attack_report, drawn_files
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.evaluation.recapture import WAYS, passed_on
from deepscreen.evaluation.white_box import WhiteBox
from deepscreen.faces import FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.settings import load_settings
from deepscreen.training.labelled import LabelledFile
from deepscreen.weights.store import WeightsStore, load_tensors

MEDIA = Path(__file__).parents[2] / "sample_media"
NAMES = [f"source {k}" for k in range(60)]
APART = [name for name in NAMES if is_release_split(name)]


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    return np.asarray(Image.open(MEDIA / "bona_fide/portrait_collins.png").convert("RGB")).copy()


def labelled(key: str, label: int, source: str, path: Path = Path("p")) -> LabelledFile:
    return LabelledFile(path, key, label, "photo", "g", source, "", None)


def test_pictures_are_of_the_release_split_and_of_many_sources() -> None:
    files = [labelled(f"{s}-{k}-{y}", y, s) for s in NAMES for k in range(9) for y in (0, 1)]
    drawn = drawn_files(files, len(APART), 0)
    assert [file.label for file in drawn] == [0] * len(APART) + [1] * len(APART)
    assert sorted(file.source for file in drawn if file.label) == sorted(APART)
    assert drawn == drawn_files(files[::-1], len(APART), 0)


@pytest.mark.parametrize("name", WAYS)
def test_way_changes_a_picture_but_not_what_it_shows(name: str, portrait: Pixels) -> None:
    first, second = (WAYS[name](portrait, np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(first, second)
    before, after = (whole_view(pixels).pixels.astype(float) for pixels in (portrait, first))
    assert np.abs(before - after).mean() > 0.5
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9


def test_each_share_makes_the_picture_smaller(portrait: Pixels) -> None:
    sizes = [passed_on(portrait, n).shape[0] for n in range(5)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == portrait.shape[0]


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)  # gradients of the whole backbone: minutes on a processor without bf16
def test_attack_reads_as_the_detector_does_and_moves_it_within_the_bound(portrait: Pixels, tmp_path: Path) -> None:
    store = WeightsStore.from_settings(load_settings())
    weights = store.locate(WEIGHTS_NAME)
    arrays = {name: tensor.numpy() for name, tensor in load_tensors(store.locate("head-image")).items()}
    head = ViewHead.from_arrays(arrays, "view")
    features, box = ClipFeatures(ClipBackbone(weights)), WhiteBox(weights, head, steps=4)
    view = whole_view(portrait).pixels
    as_it_is = head.logit(features.tokens([view])[0])
    for towards_spoof in (True, False):
        pushed = box.attacked(view, bound=2, towards_spoof=towards_spoof)
        assert np.abs(pushed.astype(int) - view).max() == 2
        moved = head.logit(features.tokens([pushed])[0]) - as_it_is
        assert (moved > 0.5) if towards_spoof else (moved < -0.5)
    Image.fromarray(portrait).save(tmp_path / "p.png")
    stratum = Stratum(1.0, -as_it_is, ((1.0, 0.0),), 100, 100, 100)  # the picture itself has LR 1
    report = attack_report(
        [labelled("p", 0, "s", tmp_path / "p.png")],
        Target("whole", head, Calibration("", "", {"all": stratum})),
        features,
        FaceLocator(store.locate("yunet").path),
        box,
        0.001,
        lambda: None,
    )
    assert (report["n_bona_fide"], report["n_spoof"]) == (1, 0)
    conditions = report["conditions"]
    assert set(conditions) == {"as it is", *WAYS, "white-box PGD, 2/255", "white-box PGD, 4/255"}
    assert (conditions["as it is"]["auc"], conditions["as it is"]["spoofs_called_spoof"]) == (None, None)
    assert conditions["as it is"]["bona_fide_called_spoof"] == 0.0
    assert conditions["white-box PGD, 2/255"]["bona_fide_called_spoof"] == 1.0
    assert conditions["white-box PGD, 4/255"]["logit_moved_bona_fide"] > 0.5
