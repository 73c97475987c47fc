"""A service with its console on fake networks, and one real Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import httpx
import pytest
from console import PATIENCE_MS, SCREENSHOTS, Console, opened
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from deepscreen.settings import Settings

PHONE = {"width": 360, "height": 740}
# Chromium as root, as in a container; without a GPU.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"]


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The service, with one item of each kind in it."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("console") / "data", device="cpu", host="127.0.0.1")
    served = Console(settings)
    yield served
    served.close()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """For a module and no longer: as long as it is there, nobody else can run an event loop in this thread."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium; a machine without it skips these tests, unless they are asked for."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("DEEPSCREEN_REQUIRE_BROWSER"):
            pytest.fail("there is no chromium")
        pytest.skip("there is no chromium; `make dev` installs it")
    launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield launched
    launched.close()


@pytest.fixture
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """A desktop window in English that is logged in as admin; whatever goes wrong within it fails the test."""
    yield from opened(browser, console)


@pytest.fixture
def phone(browser: Browser, console: Console) -> Iterator[Page]:
    """The same on a phone of 360 px, in German and dark."""
    yield from opened(browser, console, viewport=PHONE, locale="de-DE", color_scheme="dark")


@pytest.fixture
def sharp(browser: Browser, console: Console) -> Iterator[Page]:
    """A desktop window with two pixels of the screen to a CSS pixel."""
    yield from opened(browser, console, device_scale_factor=2)


@pytest.fixture(scope="session")
def reviewer_key(console: Console) -> str:
    """The token of a second person."""
    headers = {"Authorization": f"Bearer {console.key}"}
    made = httpx.post(f"{console.url}/v1/keys", json={"name": "Rita", "role": "reviewer"}, headers=headers)
    return str(made.json()["token"])


@pytest.fixture(scope="session", autouse=True)
def _old_screenshots_are_gone() -> None:
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)


@pytest.fixture
def api(console: Console) -> Iterator[httpx.Client]:
    """The HTTP API, as admin."""
    with httpx.Client(base_url=console.url, headers={"Authorization": f"Bearer {console.key}"}) as client:
        yield client
