"""Lossy copies of samples: alike in shape, a little different in content, the same ones every time."""

from __future__ import annotations

import numpy as np
import pytest

from deepscreen.media.recode import (
    FRAME_TREATMENTS,
    PICTURE_TREATMENTS,
    SOUND_RATE_HZ,
    SOUND_TREATMENTS,
    through_h264,
    through_jpeg,
)
from deepscreen.media.samples import Pixels

BOTH = [*PICTURE_TREATMENTS.items(), *FRAME_TREATMENTS.items()]


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    """A smooth, coloured scene with some grain, 96 x 128."""
    rows, columns = np.mgrid[0:96, 0:128]
    smooth = np.stack([rows * 2, columns * 1.5, 255 - rows - columns], axis=-1)
    return np.clip(smooth + np.random.default_rng(0).normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def error(copy: Pixels, original: Pixels) -> float:
    height, width = copy.shape[:2]
    return float(np.abs(copy.astype(int) - original[:height, :width]).mean())


@pytest.mark.parametrize(("name", "treat"), BOTH, ids=lambda value: value if isinstance(value, str) else "")
def test_copy_of_pixels_is_much_like_them_and_always_the_same(name: str, treat: object, photograph: Pixels) -> None:
    before = photograph.copy()
    copy = treat(photograph)  # type: ignore[operator]
    assert (copy.shape, copy.dtype) == (photograph.shape, np.uint8), name
    assert 0.1 < error(copy, photograph) < 12
    assert np.array_equal(copy, treat(photograph))  # type: ignore[operator]
    assert np.array_equal(before, photograph), "the sample itself was changed"


@pytest.mark.parametrize("treatments", [PICTURE_TREATMENTS, FRAME_TREATMENTS], ids=["picture", "frame"])
def test_levels_go_from_mild_to_strong(treatments: dict, photograph: Pixels) -> None:
    errors = [error(treat(photograph), photograph) for treat in treatments.values()]
    assert len(errors) == 3
    assert errors == sorted(errors)


@pytest.mark.parametrize(
    "copy", [through_jpeg(np.full((8, 8, 3), c, np.uint8), 95) for c in ((250, 0, 0), (0, 0, 250))]
)
def test_channels_stay_in_their_order(copy: Pixels) -> None:
    assert copy.max(axis=(0, 1)).max() > 240
    assert copy.mean(axis=(0, 1)).argmin() == 1 or copy.mean(axis=(0, 1))[1] < 6


def test_frame_with_odd_sides_loses_its_last_row_and_column(photograph: Pixels) -> None:
    assert through_h264(photograph[:95, :127], 23).shape == (94, 126, 3)


@pytest.mark.parametrize("treat", SOUND_TREATMENTS.values(), ids=list(SOUND_TREATMENTS))
@pytest.mark.parametrize("n_samples", [1, 700, SOUND_RATE_HZ + 1])
def test_copy_of_sound_is_as_long_and_in_step(treat: object, n_samples: int) -> None:
    times = np.arange(n_samples) / SOUND_RATE_HZ
    sound = (0.3 * np.sin(2 * np.pi * 440 * times) + 0.2 * np.sin(2 * np.pi * 1130 * times)).astype(np.float32)
    copy = treat(sound)  # type: ignore[operator]
    assert (copy.shape, copy.dtype) == (sound.shape, np.float32)
    assert np.array_equal(copy, treat(sound))  # type: ignore[operator]
    if n_samples > SOUND_RATE_HZ:
        assert np.corrcoef(copy, sound)[0, 1] > 0.9
        assert not np.array_equal(copy, sound)
