"""A client that leaves while its file is screened: the work ends, and nothing of it stays."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from serving import build_fake_desk

from deepscreen.api.app import create_app
from deepscreen.detectors.contract import DetectorCard
from deepscreen.media.intake import Intake
from deepscreen.record import Provenance
from deepscreen.screened import Screened
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Profile, Settings


class GatedDesk:
    """The desk of the other tests, which screens when the gate opens."""

    def __init__(self, desk: ScreeningDesk, gate: threading.Event) -> None:
        self._desk = desk
        self._gate = gate

    @property
    def provenance(self) -> Provenance:
        return self._desk.provenance

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        return self._desk.cards

    def screen(self, intake: Intake, *, profile: Profile | None = None) -> Screened:
        self._gate.wait(20)
        return self._desk.screen(intake, profile=profile)

    def close(self) -> None:
        self._desk.close()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_client_that_leaves_while_its_file_is_screened_leaves_nothing(own_settings: Settings, png: bytes) -> None:
    assert own_settings.data_dir
    data_dir = own_settings.data_dir
    gate = threading.Event()
    sent: list[dict] = []
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + png + b"\r\n--b--\r\n"
    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=b")]
    scope = {"type": "http", "method": "POST", "path": "/v1/screenings", "query_string": b"", "headers": headers}

    async def send(message: dict) -> None:
        sent.append(message)

    async def scene() -> None:
        left = asyncio.Event()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        app = create_app(own_settings, lambda settings: GatedDesk(build_fake_desk(settings), gate))  # type: ignore[arg-type, return-value]
        async with app.router.lifespan_context(app):
            service = app.state.service
            await until(service._loading.done)
            request = asyncio.create_task(app(scope, receive, send))
            await until(lambda: service.admission.places.running == 1)
            left.set()
            await request
            # The thread still works on the file: place and file stay until it ends.
            assert service.admission.places.running == 1
            assert len(list((data_dir / "uploads").iterdir())) == 1
            gate.set()
            await until(lambda: service.admission.places.running + service.admission.places.waiting == 0)
            assert not list((data_dir / "uploads").iterdir())
            assert not list((data_dir / "results").iterdir())

    asyncio.run(scene())
    assert sent == []
