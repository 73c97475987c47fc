"""Heatmaps: where colours land on the source, the fixed scale, the withheld, and bytes that do not change."""

import math
import subprocess
import sys

import cv2
import numpy as np
import pytest

from deepscreen.detectors.contract import Faithfulness, SaliencyMap
from deepscreen.evidence.heatmap import is_shown, overlay, render_heatmap
from deepscreen.evidence.lettering import settable, shortened, text_width
from deepscreen.evidence.resize import fit
from deepscreen.evidence.scale import SCALE_HIGH, SCALE_LOW, blend, colours, opacities, to_levels
from deepscreen.evidence.thumbnail import thumbnail_jpeg

TRUSTED = Faithfulness(drop_hottest=1.23, drop_random=0.10)
ROWS, COLS = 14, 14
GREY = 128


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def photo(width: int, height: int) -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def whole(width: int, height: int) -> np.ndarray:
    return np.array([[width, 0, 0], [0, height, 0]], dtype=np.float64)


def rotated(centre: tuple[float, float], side: float, angle: float) -> np.ndarray:
    u = side * np.array([math.cos(angle), math.sin(angle)])
    v = side * np.array([-math.sin(angle), math.cos(angle)])
    return np.column_stack([u, v, np.array(centre) - (u + v) / 2])


def hot_cell(row: int, col: int, peak: float = 4.0) -> np.ndarray:
    values = np.zeros((ROWS, COLS), dtype=np.float32)
    values[row, col] = peak
    return values


def make_map(values: np.ndarray, to_source: np.ndarray, faithfulness: Faithfulness = TRUSTED) -> SaliencyMap:
    return SaliencyMap(values, to_source, "whole", faithfulness)


def decoded(png: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def warm_centre(shown: np.ndarray, scale_x: float, scale_y: float) -> tuple[float, float]:
    """Centre of what is warm (red over blue by much), in source pixels; the picture below is grey."""
    warmth = np.clip(shown[:, :, 0].astype(float) - shown[:, :, 2] - 60, 0, None)
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]] + 0.5
    return float((x * warmth).sum() / warmth.sum() / scale_x), float((y * warmth).sum() / warmth.sum() / scale_y)


def where(to_source: np.ndarray, row: int, col: int) -> np.ndarray:
    return to_source @ np.array([(col + 0.5) / COLS, (row + 0.5) / ROWS, 1.0])


@pytest.mark.parametrize(
    ("width", "height", "max_pixels"), [(700, 700, 10**6), (640, 360, 10**6), (1999, 1501, 500_000)]
)
@pytest.mark.parametrize(("row", "col"), [(3, 10), (8, 2), (6, 6)])
def test_hot_cell_of_whole_map_lands_on_its_pixels(
    width: int, height: int, max_pixels: int, row: int, col: int
) -> None:
    to_source = whole(width, height)
    shown = overlay(grey(width, height), [make_map(hot_cell(row, col), to_source)], max_pixels=max_pixels)
    tolerance = max(1.0, 0.5 / shown.scale_x)
    assert warm_centre(shown.pixels, shown.scale_x, shown.scale_y) == pytest.approx(
        tuple(where(to_source, row, col)), abs=tolerance
    )


@pytest.mark.parametrize("angle", [0.0, 0.3, -0.8, math.pi / 2, math.pi])
@pytest.mark.parametrize(("row", "col"), [(4, 9), (10, 3)])
def test_hot_cell_of_rotated_face_lands_on_its_pixels(angle: float, row: int, col: int) -> None:
    to_source = rotated((333.3, 288.8), 301.7, angle)
    shown = overlay(grey(800, 600), [make_map(hot_cell(row, col), to_source)], max_pixels=10**6)
    # The outline is neither warm nor cool: ink and paper.
    assert warm_centre(shown.pixels, 1.0, 1.0) == pytest.approx(tuple(where(to_source, row, col)), abs=1.0)


def test_outline_lies_on_the_edge_of_the_region() -> None:
    values = np.full((1, 1), 4.0, dtype=np.float32)
    shown = overlay(grey(600, 500), [make_map(values, rotated((250.5, 240.5), 101, 0.0))], max_pixels=10**6)
    light = shown.pixels.min(axis=2) > 200  # the outline's light rim lies on both sides of its dark middle
    columns, rows = np.flatnonzero(light[240]) + 0.5, np.flatnonzero(light[:, 250]) + 0.5
    assert columns[columns < 250].mean() == pytest.approx(200, abs=1.0)
    assert columns[columns > 250].mean() == pytest.approx(301, abs=1.0)
    assert rows[rows < 240].mean() == pytest.approx(190, abs=1.0)
    assert rows[rows > 240].mean() == pytest.approx(291, abs=1.0)


def test_region_outside_the_picture_changes_no_pixel() -> None:
    away = make_map(np.full((2, 2), 4.0, dtype=np.float32), rotated((5000, 5000), 100, 0.4))
    picture = grey(600, 500)
    assert np.array_equal(overlay(picture, [away], max_pixels=10**6).pixels, picture)


def test_region_over_the_border_is_drawn_where_it_is_inside() -> None:
    half_out = make_map(np.full((2, 2), 4.0, dtype=np.float32), rotated((0, 250), 200, 0.2))
    shown = overlay(grey(600, 500), [half_out], max_pixels=10**6).pixels
    assert shown[250, 20, 0] != GREY
    assert shown[250, 400, 0] == GREY


def test_later_map_is_shown_where_two_overlap() -> None:
    everywhere = make_map(np.full((2, 2), 4.0, dtype=np.float32), whole(600, 500))
    calm_face = make_map(np.zeros((2, 2), dtype=np.float32), rotated((300, 250), 200, 0.0))
    shown = overlay(grey(600, 500), [everywhere, calm_face], max_pixels=10**6).pixels
    assert tuple(shown[250, 300]) == (GREY, GREY, GREY)
    assert tuple(shown[50, 500]) != (GREY, GREY, GREY)


def test_same_value_has_same_colour_whatever_else_the_map_holds() -> None:
    alone = np.full((ROWS, COLS), 1.5, dtype=np.float32)
    beside_hotter = alone.copy()
    beside_hotter[0, 0] = 40.0
    pictures = [
        overlay(grey(700, 700), [make_map(v, whole(700, 700))], max_pixels=10**6).pixels for v in (alone, beside_hotter)
    ]
    assert np.array_equal(pictures[0][400:, 400:], pictures[1][400:, 400:])


def test_unremarkable_map_leaves_the_picture_as_it_is() -> None:
    picture = photo(700, 500)
    values = np.random.default_rng(1).uniform(-0.35, 0.35, (ROWS, COLS)).astype(np.float32)
    shown = overlay(picture, [make_map(values, whole(700, 500))], max_pixels=10**6).pixels
    assert np.array_equal(shown, picture)


def test_opacity_grows_with_strength_and_is_slight_for_bona_fide() -> None:
    alpha = opacities()
    warm, cool = (
        alpha[to_levels(np.array([0, 1, 2, 3, 4], np.float32))],
        alpha[to_levels(np.array([0, -2, -4], np.float32))],
    )
    assert warm[0] == cool[0] == 0.0
    assert (np.diff(warm) > 0).all()
    assert (np.diff(cool) > 0).all()
    assert cool.max() <= 0.3 < warm.max() < 0.8


def test_levels_are_clipped_at_the_ends_of_the_scale() -> None:
    assert to_levels(np.array([-99, SCALE_LOW, SCALE_HIGH, 99], np.float32)).tolist() == [0, 0, 255, 255]


def test_colours_tell_the_sides_apart_without_red_against_green() -> None:
    cool, warm = colours()[20].astype(int), colours()[235].astype(int)
    assert cool[2] > cool[0] + 60
    assert warm[0] > warm[2] + 60


def test_blend_follows_the_alpha_formula_within_rounding() -> None:
    picture = photo(64, 4)
    levels = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (4, 1))
    alpha = opacities()[levels][..., None]
    expected = picture * (1 - alpha) + colours()[levels] * alpha
    assert np.abs(blend(picture, levels).astype(float) - expected).max() <= 1.5


def test_png_is_the_overlay_above_a_legend() -> None:
    maps = [make_map(hot_cell(3, 3), whole(640, 480))]
    page = decoded(render_heatmap(photo(640, 480), maps, title="a title", max_pixels=10**6))
    assert np.array_equal(page[:480, :640], overlay(photo(640, 480), maps, max_pixels=10**6).pixels)
    assert page.shape[1] == 640
    assert 100 < page.shape[0] - 480 < 260
    assert (page[480:] < 80).any()  # something is written in it


def test_title_and_faithfulness_figures_change_the_legend() -> None:
    picture = grey(640, 480)

    def legend(title: str, faithfulness: Faithfulness) -> np.ndarray:
        saliency = make_map(hot_cell(3, 3), whole(640, 480), faithfulness)
        return decoded(render_heatmap(picture, [saliency], title=title, max_pixels=10**6))[480:]

    first = legend("one", TRUSTED)
    assert not np.array_equal(first, legend("two", TRUSTED))
    assert not np.array_equal(first, legend("one", Faithfulness(2.0, 0.1)))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (1, 3000), (9000, 2), (37, 51), (1500, 1400)])
def test_any_shape_is_rendered_within_max_pixels(width: int, height: int) -> None:
    max_pixels = 200_000
    maps = [make_map(hot_cell(0, 0), whole(width, height))]
    shown = overlay(grey(width, height), maps, max_pixels=max_pixels).pixels
    assert shown.shape[0] * shown.shape[1] <= max_pixels
    assert max(shown.shape) <= 4096
    assert decoded(render_heatmap(grey(width, height), maps, title="t", max_pixels=max_pixels)).shape[1] >= 480


def test_small_picture_is_enlarged_by_whole_pixels() -> None:
    shown = overlay(photo(60, 40), [make_map(np.zeros((2, 2), np.float32), whole(60, 40))], max_pixels=10**6)
    assert shown.scale_x == shown.scale_y == 8.0
    assert np.array_equal(shown.pixels[::8, ::8], photo(60, 40))


def test_render_changes_neither_the_picture_nor_the_map() -> None:
    picture, saliency = photo(500, 500), make_map(hot_cell(2, 2), rotated((200, 200), 150, 0.3))
    before = picture.copy(), saliency.values.copy(), saliency.to_source.copy()
    render_heatmap(picture, [saliency, saliency], title="t", max_pixels=10**6)
    assert all(map(np.array_equal, before, (picture, saliency.values, saliency.to_source)))


def test_withheld_map_is_refused() -> None:
    withheld = make_map(hot_cell(2, 2), whole(500, 500), Faithfulness(drop_hottest=0.1, drop_random=0.1))
    assert not is_shown(withheld)
    assert is_shown(make_map(hot_cell(2, 2), whole(500, 500)))
    with pytest.raises(ValueError, match="withheld"):
        render_heatmap(grey(500, 500), [withheld], title="t", max_pixels=10**6)


@pytest.mark.parametrize(
    ("values", "to_source", "complaint"),
    [
        (np.full((2, 2), np.nan, np.float32), whole(9, 9), "finite"),
        (np.zeros((2, 2), np.float32), np.full((2, 3), np.inf), "finite"),
        (np.zeros((2, 2), np.float32), np.zeros((2, 3)), "without area"),
        (np.zeros((0, 2), np.float32), whole(9, 9), "rows"),
        (np.zeros((2, 2), np.float32), np.zeros((3, 3)), "to_source"),
    ],
)
def test_impossible_map_is_refused(values: np.ndarray, to_source: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        render_heatmap(grey(9, 9), [make_map(values, to_source)], title="t", max_pixels=10**6)


def test_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        render_heatmap(grey(9, 9), [], title="t", max_pixels=10**6)


SAME_BYTES = """
import hashlib, sys
import numpy as np
from deepscreen.detectors.contract import Faithfulness, SaliencyMap
from deepscreen.evidence.render import render_heatmap
values = np.random.default_rng(2).normal(0, 2, (14, 14)).astype(np.float32)
picture = np.random.default_rng(3).integers(0, 256, (900, 1300, 3), dtype=np.uint8)
saliency = SaliencyMap(values, np.array([[700.0, 90, 100], [-90, 700, 150]]), "face", Faithfulness(1.0, 0.0))
png = render_heatmap(picture, [saliency], title="same", max_pixels=500_000)
sys.stdout.write(hashlib.sha256(png).hexdigest())
"""


def test_same_input_gives_same_bytes_in_another_process() -> None:
    digests = {
        subprocess.run([sys.executable, "-c", SAME_BYTES], capture_output=True, check=True, text=True).stdout
        for _ in "ab"
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_fit_remembers_which_source_pixels_it_covers() -> None:
    ramp = np.broadcast_to(np.arange(2001, dtype=np.float64)[None, :, None] / 2001 * 255, (1003, 2001, 3))
    small = fit(np.ascontiguousarray(ramp.astype(np.uint8)), max_pixels=100_000)
    column = small.pixels.shape[1] // 3
    source_x = (column + 0.5) / small.scale_x
    assert small.pixels[50, column, 0] == pytest.approx(source_x / 2001 * 255, abs=1.5)
    assert small.pixels.shape[0] * small.pixels.shape[1] <= 100_000


@pytest.mark.parametrize(("width", "height"), [(1000, 500), (20, 10), (1, 4000)])
def test_thumbnail_is_a_jpeg_that_is_never_enlarged(width: int, height: int) -> None:
    jpeg = thumbnail_jpeg(photo(width, height), long_side_px=256)
    assert jpeg[:3] == b"\xff\xd8\xff"
    assert max(decoded(jpeg).shape) == min(256, max(width, height))


def test_text_is_cut_to_its_width_and_holds_no_control_characters() -> None:
    cut = shortened("a very long title " * 1000, 17, 300)
    assert cut.endswith("…")
    assert text_width(cut, 17) <= 300
    assert settable("a\nb\x1b[2J\u202e") == "a?b?[2J?"
    assert shortened("abc", 17, 0) == ""
