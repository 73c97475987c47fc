"""What the service tests run on: the desk, its limits, and the wait until it is loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.testclient import TestClient

from deepscreen.api.app import Pages, create_app
from deepscreen.api.service import DeskFactory
from deepscreen.detectors.contract import DetectorCard
from deepscreen.media.intake import Intake
from deepscreen.record import Provenance
from deepscreen.screened import OnProgress, Screened
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key

READY_WITHIN_SECONDS = 30.0
MAX_BYTES = 200_000


def build_fake_desk(settings: Settings) -> ScreeningDesk:
    """A desk with real intake and decoding, and FakeDetector networks."""
    return ScreeningDesk.with_fake_detectors(settings)


class GatedDesk:
    """A desk that screens when the gate opens."""

    def __init__(self, desk: ScreeningDesk, gate: threading.Event) -> None:
        self._desk = desk
        self._gate = gate
        self.settings = desk.settings

    @property
    def provenance(self) -> Provenance:
        return self._desk.provenance

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        return self._desk.cards

    def screen(self, intake: Intake, *, on_progress: OnProgress) -> Screened:
        self._gate.wait(20)
        return self._desk.screen(intake, on_progress=on_progress)

    def close(self) -> None:
        self._desk.close()


@contextmanager
def serving(
    settings: Settings, desk_factory: DeskFactory = build_fake_desk, *, pages: Pages | None = None
) -> Iterator[TestClient]:
    """Runs the app on the fake desk; gives a client once that is loaded."""
    with TestClient(create_app(settings, desk_factory, pages=pages), base_url="http://localhost") as client:
        wait_until_ready(client)
        yield client


def wait_until_ready(client: TestClient) -> None:
    """Returns when the desk is loaded."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, client.get("/readyz").text
        time.sleep(0.01)


class Served:
    """A service on a port of its own, with a key for it."""

    def __init__(self, settings: Settings, desk_factory: DeskFactory | None = build_fake_desk) -> None:
        self.app = create_app(settings, desk_factory)
        self._server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_config=None, lifespan="on"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        database = self.app.state.service.store.database
        _, self.key = create_key(database, name="x", role=Role.ADMIN, lifetime_seconds=None, actor="test")
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while desk_factory is not None and httpx.get(self.url + "/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        """Ends the service."""
        self._server.should_exit = True
        self._thread.join()
