"""Pictures: the map lies on the right source pixels, to the pixel, at any zoom, density and EXIF orientation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from console import HEIGHT, SCREENSHOTS, WIDTH, Console, png, serious_flaws, turned, until
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from media_factory import QUADRANTS

# Where FakeDetector's second map lies: from the first to the second quarter, in checks of +4 and -4.
LEFT, TOP, RIGHT, BOTTOM = WIDTH / 4, HEIGHT / 4, WIDTH / 2, HEIGHT / 2
PART = "fake_image-heatmap-face.png"
COLOUR_REACH = 40  # less than the distance of any two quadrants' colours
SHOW_PART = f"""async ([scale]) => {{
    const viewer = document.querySelector(".viewer").viewer;
    await viewer.ready;
    viewer.choose("{PART}");
    const box = viewer.stage.root;
    const whole = (value) => Math.round(value * devicePixelRatio) / devicePixelRatio;
    const middle = (room, size) => whole((room - size * scale) / 2);
    viewer.stage.set(scale, middle(box.clientWidth, {WIDTH}), middle(box.clientHeight, {HEIGHT}));
    document.querySelector("[data-act=boxes]").click();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const place = box.getBoundingClientRect();
    return [place.left + viewer.stage.x, place.top + viewer.stage.y];
}}"""


def shown(page: Page, item: str, scale: float) -> tuple[NDArray[np.int16], float, tuple[float, float]]:
    """The window in pixels of the screen, the pixels of the screen to a source pixel, and where source 0, 0 lies."""
    page.goto(f"/items/{item}")
    density = page.evaluate("devicePixelRatio")
    x, y = page.evaluate(SHOW_PART, [scale])
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), dtype=np.int16)
    return pixels, scale * density, (x * density, y * density)


def check_places(pixels: NDArray[np.int16], scale: float, origin: tuple[float, float]) -> None:
    """The picture's quadrants and the map's edges are where the source says, to within one pixel."""

    def at(x: float, y: float) -> NDArray[np.int16]:
        return pixels[int(origin[1] + y * scale), int(origin[0] + x * scale)]

    def is_quadrant(colour: NDArray[np.int16], number: int) -> bool:
        return int(np.abs(colour - np.array(QUADRANTS[number])).max()) < COLOUR_REACH

    inset = 1.0 + 1.0 / scale  # a pixel to either side of an edge
    middle_x, middle_y = WIDTH / 2, HEIGHT / 2
    assert is_quadrant(at(middle_x - 1.5, 1.5), 0)
    assert is_quadrant(at(middle_x + 1.5, 1.5), 1)
    assert is_quadrant(at(middle_x - 1.5, HEIGHT - 1.5), 2)
    assert is_quadrant(at(WIDTH - 1.5, middle_y + 1.5), 3)
    # Just outside of the map the picture is itself; just inside it is dark red, where the log-odds are +4.
    for outside in ((LEFT - inset, TOP + 2), (LEFT + 2, TOP - inset)):
        assert is_quadrant(at(*outside), 0), outside
    hot = 0.68 * np.array((130, 0, 30)) + 0.32 * np.array(QUADRANTS[0])
    for inside in ((LEFT + inset, TOP + inset), (LEFT + inset, TOP + 4), (RIGHT - inset, BOTTOM - inset)):
        assert np.abs(at(*inside) - hot).max() < COLOUR_REACH, (inside, at(*inside), hot)
    assert is_quadrant(at(RIGHT + inset, TOP + 2), 1)
    assert is_quadrant(at(LEFT + 2, BOTTOM + inset), 2)


@pytest.mark.parametrize("scale", [1.0, 2.0, 5.0])
def test_map_lies_on_its_source_pixels(page: Page, console: Console, scale: float) -> None:
    check_places(*shown(page, console.item("quadrants.png", png()), scale))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_map_lies_on_its_source_pixels_on_a_dense_screen(sharp: Page, console: Console, scale: float) -> None:
    check_places(*shown(sharp, console.item("quadrants.png", png()), scale))


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_map_lies_on_its_source_pixels_of_a_turned_photograph(
    page: Page, console: Console, tmp_path: Path, orientation: int, scale: float
) -> None:
    item = console.item(f"turned_{orientation}.jpg", turned(tmp_path, orientation))
    check_places(*shown(page, item, scale))


def test_score_under_the_cursor_is_told(page: Page, console: Console) -> None:
    _, scale, (x, y) = shown(page, console.item("quadrants.png", png()), 4.0)
    page.mouse.move(x + (LEFT + 1) * scale, y + (TOP + 1) * scale)
    expect(page.locator(".place")).to_have_text(f"x {LEFT + 1:.0f}, y {TOP + 1:.0f}")
    expect(page.locator(".local")).to_have_text("log-odds +4.00")
    page.mouse.move(x + 1.5 * scale, y + 1.5 * scale)
    expect(page.locator(".local")).to_have_text("no map here")


def test_opacity_swipe_layers_and_zoom(page: Page, console: Console) -> None:
    page.goto(f"/items/{console.item('quadrants.png', png())}")
    veil = page.locator(".veil")
    page.locator(".opacity").fill("40")
    assert veil.evaluate("element => element.style.opacity") == "0.4"
    page.get_by_role("button", name="Before / after").click()
    assert "inset" in veil.evaluate("element => element.style.clipPath")
    divider = page.locator(".divider")
    box = divider.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(middle + 100, box["y"] + 50)
    page.mouse.up()
    moved = divider.bounding_box()
    assert moved
    assert moved["x"] - box["x"] == pytest.approx(100, abs=1)
    divider.press("Home")
    assert divider.get_attribute("aria-valuenow") == "0"
    page.get_by_role("button", name="Before / after").click()
    page.get_by_label("fake_image, face").check()
    expect(page.locator(".faithful:visible")).to_contain_text("-0.40")
    page.locator(".stage").focus()
    page.keyboard.press("1")
    assert page.evaluate("document.querySelector('.viewer').viewer.stage.scale") == 1
    page.keyboard.press("+")
    assert page.evaluate("document.querySelector('.viewer').viewer.stage.scale") == 1.5
    page.keyboard.press("h")
    assert veil.evaluate("element => element.style.opacity") == "0"


def test_picture_that_no_browser_shows_is_decoded_for_it(page: Page, console: Console) -> None:
    file = io.BytesIO()
    Image.open(io.BytesIO(png())).save(file, "TIFF")
    page.goto(f"/items/{console.item('scan.tif', file.getvalue())}")
    expect(page.locator(".viewer-note")).to_contain_text("decoded")
    size = "document.querySelector('.plane img').naturalWidth"
    until(page, f"{size} > 0")
    assert page.evaluate(size) == WIDTH


def test_item_has_no_serious_flaw_in_either_language_and_theme(page: Page, phone: Page, console: Console) -> None:
    item = console.item("quadrants.png", png())
    page.goto(f"/items/{item}")
    assert serious_flaws(page) == []
    phone.goto(f"/items/{item}")
    assert serious_flaws(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    expect(phone.get_by_role("heading", name="Was bedeutet das?")).to_be_visible()
    phone.screenshot(path=SCREENSHOTS / "item_phone_dark.png", full_page=True)
