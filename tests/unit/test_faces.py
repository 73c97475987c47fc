"""Crops keep their way back to source pixels; tracks keep their number; the locator finds a real face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deepscreen.faces import (
    CROP_SCALE,
    TRACK_MAX_GAP_SECONDS,
    Face,
    FaceLocator,
    FaceTracker,
    crop_face,
    intersection_over_union,
)
from deepscreen.settings import Settings
from deepscreen.weights.store import locate_weights

PORTRAIT = Path(__file__).parents[2] / "sample_media/bona_fide/portrait_collins.png"
SIZE_PX = 224
# Right eye, left eye, nose, mouth corners of an upright face, in units of its box.
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def face_at(x: float, y: float, side: float, degrees: float = 0.0) -> Face:
    """A square face with its box centred on (x, y), its landmarks turned by *degrees* (clockwise on the screen)."""
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (LANDMARKS - 0.5) * side @ rotation.T + (x, y)
    half = side / 2
    return Face((x - half, y - half, x + half, y + half), tuple(map(tuple, points)), 0.9)  # type: ignore[arg-type]


def coordinates(width: int, height: int) -> NDArray[np.uint8]:
    """A picture whose red is x / 4 and green y / 4 at each pixel's centre: every pixel says where it lies."""
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([xs / 4, ys / 4, xs * 0], axis=-1).round().astype(np.uint8)


def expected_xy(to_source: NDArray[np.float64]) -> NDArray[np.float64]:
    """The source position of each crop pixel's centre, (size, size, 2)."""
    u, v = np.meshgrid(*[(np.arange(SIZE_PX) + 0.5) / SIZE_PX] * 2)
    return np.stack([u, v, np.ones_like(u)], axis=-1) @ to_source.T


@pytest.mark.parametrize("degrees", [0, 20, -35, 90, 180])
@pytest.mark.parametrize("side", [90.0, 300.0, 620.0])
def test_every_crop_pixel_comes_from_where_the_matrix_says(degrees: float, side: float) -> None:
    """Sides below, above and far above the crop's 224 px: the last is shrunk by area before it is turned."""
    crop = crop_face(coordinates(1000, 1000), face_at(505, 497, side, degrees), size_px=SIZE_PX)
    expected = expected_xy(crop.to_source)
    inside = ((expected > 8) & (expected < 992)).all(axis=2)
    found = crop.pixels[:, :, :2].astype(float) * 4
    assert inside.mean() > 0.5
    assert np.abs(found - expected)[inside].max() < 4.5  # 4 px are one grey level


def test_crop_is_centred_and_scaled() -> None:
    crop = crop_face(coordinates(1000, 1000), face_at(400, 300, 100), size_px=SIZE_PX)
    corners = crop.to_source @ np.array([[0, 1, 0.5], [0, 1, 0.5], [1, 1, 1]])
    half = 50 * CROP_SCALE
    assert pytest.approx(np.array([[400 - half, 300 - half], [400 + half, 300 + half], [400, 300]])) == corners.T


@pytest.mark.parametrize("degrees", [-40, 0, 25, 70])
def test_eyes_come_out_level_and_in_the_right_order(degrees: float) -> None:
    face = face_at(500, 500, 200, degrees)
    crop = crop_face(coordinates(1000, 1000), face, size_px=SIZE_PX)
    inverse = np.linalg.inv(np.vstack([crop.to_source, [0, 0, 1]]))
    eyes = [(inverse @ [*point, 1])[:2] for point in face.landmarks_px[:2]]
    assert eyes[0][1] == pytest.approx(eyes[1][1], abs=1e-9)
    assert eyes[0][0] < eyes[1][0]


@pytest.mark.parametrize("centre", [(0, 0), (199, 10), (100, 199), (-30, 100)])
def test_border_is_repeated_where_the_face_hangs_over_it(centre: tuple[int, int]) -> None:
    crop = crop_face(coordinates(200, 200), face_at(*centre, 80), size_px=SIZE_PX)
    expected = np.clip(expected_xy(crop.to_source), 0, 200)
    assert np.abs(crop.pixels[:, :, :2].astype(float) * 4 - expected).max() < 5


def test_face_that_lies_outside_altogether_still_gives_a_crop() -> None:
    crop = crop_face(coordinates(100, 100), face_at(-500, -500, 2000), size_px=SIZE_PX)
    assert crop.pixels.shape == (SIZE_PX, SIZE_PX, 3)


def test_one_pixel_picture_gives_a_crop() -> None:
    crop = crop_face(np.full((1, 1, 3), 77, np.uint8), face_at(0.5, 0.5, 500), size_px=SIZE_PX)
    assert set(crop.pixels.ravel().tolist()) == {77}


def test_crop_leaves_the_picture_as_it_was() -> None:
    pixels = coordinates(300, 300)
    before = pixels.copy()
    crop_face(pixels, face_at(150, 150, 250, 30), size_px=32)
    assert np.array_equal(pixels, before)


def test_landmarks_that_fall_together_do_not_turn_the_crop() -> None:
    face = Face((10, 10, 60, 60), ((30.0, 30.0),) * 5, 0.9)
    crop = crop_face(coordinates(100, 100), face, size_px=32)
    assert crop.to_source[:, :2] == pytest.approx(np.eye(2) * 50 * CROP_SCALE)


@pytest.mark.parametrize(("other", "expected"), [((0, 0), 1.0), ((50, 0), 1 / 3), ((100, 0), 0.0), ((300, 300), 0.0)])
def test_intersection_over_union_by_hand(other: tuple[int, int], expected: float) -> None:
    assert intersection_over_union(face_at(0, 0, 100), face_at(*other, 100)) == pytest.approx(expected)


def test_empty_boxes_do_not_overlap() -> None:
    assert intersection_over_union(face_at(5, 5, 0), face_at(5, 5, 0)) == 0.0


def test_tracks_keep_their_number_while_faces_move_and_change_order() -> None:
    tracker = FaceTracker()
    left, right = face_at(100, 100, 80), face_at(400, 100, 80)
    assert tracker.assign((left, right), 0.0) == (0, 1)
    assert tracker.assign((face_at(390, 110, 80), face_at(110, 95, 80)), 0.5) == (1, 0)


def test_new_face_gets_a_new_number_and_an_old_one_is_never_used_again() -> None:
    tracker = FaceTracker()
    assert tracker.assign((face_at(100, 100, 80),), 0.0) == (0,)
    assert tracker.assign((face_at(600, 100, 80),), 0.5) == (1,)
    assert tracker.assign((face_at(100, 700, 80),), 1.0) == (2,)


def test_two_faces_never_share_a_track() -> None:
    tracker = FaceTracker()
    tracker.assign((face_at(100, 100, 80),), 0.0)
    assert sorted(tracker.assign((face_at(104, 100, 80), face_at(98, 100, 80)), 0.5)) == [0, 1]


def test_best_overlap_wins_the_track() -> None:
    tracker = FaceTracker()
    tracker.assign((face_at(100, 100, 80),), 0.0)
    assert tracker.assign((face_at(120, 100, 80), face_at(101, 100, 80)), 0.5) == (1, 0)


@pytest.mark.parametrize(("gap", "expected"), [(TRACK_MAX_GAP_SECONDS, (0,)), (TRACK_MAX_GAP_SECONDS + 0.01, (1,))])
def test_track_survives_a_short_gap_only(gap: float, expected: tuple[int, ...]) -> None:
    tracker = FaceTracker()
    tracker.assign((face_at(100, 100, 80),), 0.0)
    tracker.assign((), gap / 2)
    assert tracker.assign((face_at(100, 100, 80),), gap) == expected


@pytest.fixture(scope="module")
def locator() -> FaceLocator:
    return FaceLocator(locate_weights("yunet", Settings()).path)


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.asarray(Image.open(PORTRAIT).convert("RGB"))


@pytest.mark.weights
def test_locator_finds_a_real_face_wherever_it_lies(locator: FaceLocator, portrait: NDArray[np.uint8]) -> None:
    (alone,) = locator.locate(portrait, max_faces=8)
    shifted = np.full((portrait.shape[0] + 60, portrait.shape[1] + 200, 3), 127, np.uint8)
    shifted[60:, 200:] = portrait
    (moved,) = locator.locate(shifted, max_faces=8)
    offset = np.array(moved.box_xyxy_px) - np.array(alone.box_xyxy_px)
    assert offset == pytest.approx([200, 60, 200, 60], abs=0.12 * alone.size_px)
    x0, y0, x1, y1 = alone.box_xyxy_px
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in alone.landmarks_px)


@pytest.mark.weights
def test_faces_come_largest_first_and_no_more_than_asked(locator: FaceLocator, portrait: NDArray[np.uint8]) -> None:
    half = np.asarray(Image.fromarray(portrait).resize((portrait.shape[1] // 2, portrait.shape[0] // 2)))
    both = np.zeros((portrait.shape[0], portrait.shape[1] + half.shape[1], 3), np.uint8)
    both[: half.shape[0], : half.shape[1]] = half
    both[:, half.shape[1] :] = portrait
    faces = locator.locate(both, max_faces=8)
    assert len(faces) == 2
    assert faces[0].size_px > 1.5 * faces[1].size_px
    assert locator.locate(both, max_faces=1) == faces[:1]
    assert locator.locate(both, max_faces=0) == ()


@pytest.mark.weights
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 4000, 3), (15, 15, 3), (64, 64, 3)])
def test_pictures_without_a_face_give_none(locator: FaceLocator, shape: tuple[int, ...]) -> None:
    assert locator.locate(np.full(shape, 128, np.uint8), max_faces=8) == ()
