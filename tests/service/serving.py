"""What the service tests run on: the desk, its limits, and the wait until it is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.testclient import TestClient

from deepscreen.api.app import create_app
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings

READY_WITHIN_SECONDS = 30.0
MAX_BYTES = 200_000


def build_fake_desk(settings: Settings) -> ScreeningDesk:
    """A desk with real intake and decoding, and FakeDetector networks."""
    return ScreeningDesk.with_fake_detectors(settings)


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    """Runs the app on the fake desk; gives a client once that is loaded."""
    with TestClient(create_app(settings, build_fake_desk), base_url="http://localhost") as client:
        wait_until_ready(client)
        yield client


def wait_until_ready(client: TestClient) -> None:
    """Returns when the desk is loaded."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, client.get("/readyz").text
        time.sleep(0.01)
