"""What the tests in a browser run on: the service, media that are easy to measure, and a watch over the page."""

from __future__ import annotations

import io
import os
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page

from deepscreen.api.app import create_app
from deepscreen.api.auth import SESSION_COOKIE
from deepscreen.api.service import DeskFactory
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key
from deepscreen.web.pages import install
from media_factory import picture, save_oriented

READY_WITHIN_SECONDS = 120.0
PATIENCE_MS = 45_000.0  # with anything in the browser, on a machine that is busy with other things
SCREENSHOTS = Path(__file__).resolve().parents[2] / "out/screenshots"
DESKTOP = {"width": 1280, "height": 860}
AXE = Path(__file__).parent / "vendor/axe.min.js"
VENDOR = AXE.parent
WIDTH, HEIGHT = 96, 64  # of ``media_factory.picture``


class Console:
    """The service with its pages on a free port, in a thread, with an admin's key."""

    def __init__(self, settings: Settings, desk_factory: DeskFactory = ScreeningDesk.with_fake_detectors) -> None:
        self.app = create_app(settings, desk_factory, pages=install)
        config = uvicorn.Config(self.app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=3)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        self._wait(lambda: self._server.started)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        self._wait(lambda: httpx.get(self.url + "/readyz").status_code == 200)
        database = self.app.state.service.store.database
        key, self.key = create_key(database, name="Ada", role=Role.ADMIN, lifetime_seconds=None, actor="test")
        self._session, _ = self.app.state.service.sessions.begin(key)
        self._items: dict[str, str] = {}

    def _wait(self, is_so: Any) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not is_so():
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def session_cookie(self) -> Any:
        """The cookie of the admin's session, as a browser keeps it."""
        return {"name": SESSION_COOKIE, "value": self._session, "url": self.url, "httpOnly": True, "sameSite": "Strict"}

    def item(self, name: str, content: bytes, *, case_id: str | None = None) -> str:
        """The id of the screening of this file, which is sent once; with a result, or failed."""
        if name not in self._items:
            path = "/v1/screenings" + (f"?case_id={case_id}" if case_id else "")
            files = {"file": (name, content)}
            answer = httpx.post(
                self.url + path, files=files, headers={"Authorization": f"Bearer {self.key}"}, timeout=300
            )  # fmt: skip
            self._items[name] = answer.headers["location"].rpartition("/")[2]
        return self._items[name]

    def close(self) -> None:
        """Ends the service."""
        self._server.should_exit = True
        self._thread.join()


class Watched:
    """Collects what a page must not do: errors of scripts, refusals of the policy, requests to elsewhere, dialogs."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._on_message)
        page.on("request", self._on_request)

    def _on_message(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            self.complaints.append(f"request: {request.url}")


def opened(browser: Browser, console: Console, **options: object) -> Iterator[Page]:
    """A window of its own with a session."""
    settings: dict[str, object] = {"viewport": DESKTOP, "locale": "en-GB", "base_url": console.url, **options}
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    context.add_cookies([console.session_cookie()])
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watched = Watched(page)
    yield page
    context.close()
    assert watched.complaints == []


def until(page: Page, expression: str) -> None:
    """Waits until *expression* is true in *page*; ``wait_for_function`` asks again by eval, which our pages forbid."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def skip_where_busy(told: str) -> None:
    """Times mean nothing on a machine that has twice as much to do as it can: says what was measured, and skips."""
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        pytest.skip(f"the machine is busy with other things; measured: {told}")


def png(image: Image.Image | None = None) -> bytes:
    """A picture, by default four quadrants of 48 x 32 px."""
    file = io.BytesIO()
    (image or picture(WIDTH, HEIGHT)).save(file, "PNG")
    return file.getvalue()


def jpeg(image: Image.Image) -> bytes:
    """A picture as a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return file.getvalue()


def turned(folder: Path, orientation: int = 6) -> bytes:
    """A JPEG that is stored lying down and shown upright by its EXIF orientation."""
    return save_oriented(folder / "turned.jpg", orientation).read_bytes()


def wav(seconds: float = 3.0) -> bytes:
    """Two tones one after the other at 16 kHz."""
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    tone = 9000 * np.sin(2 * np.pi * np.where(time_s < seconds / 2, 440, 1800) * time_s)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(tone.astype("<i2").tobytes())
    return file.getvalue()


def serious_flaws(page: Page) -> list[str]:
    """What axe-core finds on the page that is serious or critical, with the element."""
    # The page's own policy forbids foreign scripts; Playwright evaluates this one outside of it.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    return [
        f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
