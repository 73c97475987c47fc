"""The shipped gate: what is no photograph is turned away, photographs are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from regenerate import SAMPLES

from deepscreen.absence import Absence
from deepscreen.errors import WeightsMissing
from deepscreen.media.intake import take_in
from deepscreen.record import ModalityResult, Verdict
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import load_settings
from deepscreen.training.non_photographs import draw_non_photograph

UNSEEN_SEEDS = range(10_000, 10_005)


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    try:
        desk = ScreeningDesk.build(load_settings())
    except WeightsMissing as error:
        pytest.skip(f"weights are not pulled: {error}")
    with closing(desk):
        yield desk


def image_result(desk: ScreeningDesk, path: Path) -> ModalityResult:
    return desk.screen(take_in(path, limits=desk.settings.limits)).screening.modalities["image"]


@pytest.mark.weights
def test_drawings_are_not_screened(desk: ScreeningDesk, tmp_path: Path) -> None:
    turned_away = []
    for seed in UNSEEN_SEEDS:
        path = tmp_path / f"{seed}.png"
        cv2.imwrite(str(path), draw_non_photograph(np.random.default_rng(seed))[:, :, ::-1])
        result = image_result(desk, path)
        reasons = {u.detector: u.absence for u in result.not_scored}
        turned_away.append(
            reasons.get("image_clip") is Absence.OUT_OF_DOMAIN and result.verdict is Verdict.NOT_SCREENED
        )
    assert all(turned_away)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["bona_fide/fig.heic", "bona_fide/portrait_hopper.jpg", "spoof/copied_dog.webp"])
def test_photographs_are(desk: ScreeningDesk, name: str) -> None:
    assert image_result(desk, SAMPLES / name).verdict is not Verdict.NOT_SCREENED
