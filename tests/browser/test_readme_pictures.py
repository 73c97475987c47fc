"""The pictures of the README, made with the networks as they are: `out/screenshots/console_*.png`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import SCREENSHOTS, Console, opened, until
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings, load_settings

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
FILES = (
    "bona_fide/dogs.webp",
    "bona_fide/portrait_hopper.jpg",
    "spoof/telephone_espeak.wav",
    "spoof/face_swap_synthetic_voice.mp4",
    "spoof/face_swap.jpg",
)
COLOURS = 256
pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A service with the weights as shipped and pulled."""
    if not (load_settings().weights_cache or Path()).is_dir():
        pytest.skip("DEEPSCREEN_WEIGHTS_CACHE names no folder of pulled weights")
    settings = Settings(data_dir=tmp_path_factory.mktemp("real") / "data", device="cpu")
    served = Console(settings, ScreeningDesk.build)
    for name in FILES:
        served.item(Path(name).name, (SAMPLES / name).read_bytes())
    yield served
    served.close()


@pytest.fixture
def window(browser: Browser, real: Console) -> Iterator[Page]:
    yield from opened(browser, real, viewport={"width": 1180, "height": 800})


def keep(page: Page, name: str) -> None:
    """Writes what the window shows as a small PNG."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS).save(SCREENSHOTS / name, optimize=True)


def test_pictures_of_the_readme(window: Page, real: Console) -> None:
    window.goto("/")
    expect(window.locator(".row")).to_have_count(len(FILES))
    keep(window, "console_inbox.png")
    window.goto(f"/items/{real.item('face_swap.jpg', b'')}")
    until(window, "document.querySelector('.viewer')?.viewer?.ready.then(() => true)")
    expect(window.locator(".scale")).to_be_visible()
    keep(window, "console_picture.png")
    window.goto(f"/items/{real.item('face_swap_synthetic_voice.mp4', b'')}")
    until(window, "document.querySelector('video').readyState >= 2")
    expect(window.locator(".waveform")).to_be_visible()
    keep(window, "console_clip.png")
