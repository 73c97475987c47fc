"""Halving by area: what it covers, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from deepscreen.media.halving import halved, halvings


@pytest.mark.parametrize(("side", "least", "times"), [(3000, 448, 2), (896, 448, 1), (895, 448, 0), (10, 448, 0)])
def test_a_side_is_halved_while_it_stays_long_enough(side: int, least: int, times: int) -> None:
    assert halvings(side, least) == times


def test_each_pixel_is_the_mean_of_the_square_that_it_covers() -> None:
    pixels = np.random.default_rng(0).integers(0, 64, (8, 12, 3)).astype(np.uint8) * 4
    squares = pixels.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved(pixels, 1).astype(float) - squares).max() <= 0.5


@pytest.mark.parametrize(
    ("shape", "expected"), [((7, 9, 3), (1, 2, 3)), ((1, 9, 3), (1, 2, 3)), ((5, 1, 3), (1, 1, 3))]
)
def test_odd_sides_lose_their_end_and_single_pixels_stay(
    shape: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    assert halved(np.zeros(shape, np.uint8), 2).shape == expected


def test_no_halving_gives_the_very_pixels() -> None:
    pixels = np.zeros((3, 3, 3), np.uint8)
    assert halved(pixels, 0) is pixels
