"""A client that leaves while its file is screened: nothing is lost, and its place is free at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from serving import GatedDesk, build_fake_desk

from deepscreen.api.app import create_app
from deepscreen.settings import Settings
from deepscreen.store.computations import State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Filters

LOCAL = Caller("local", Role.ADMIN)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_client_that_leaves_while_its_file_is_screened_loses_nothing(own_settings: Settings, png: bytes) -> None:
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
            try:
                await until(service._loading.done)
                request = asyncio.create_task(app(scope, receive, send))
                await until(lambda: service.queue.depth() == (0, 1))
                assert service.admission.taken == 1
                left.set()
                await request
                assert service.admission.taken == 0
                assert list((data_dir / "uploads").iterdir()) == []
            finally:
                gate.set()
            await until(lambda: service.queue.depth() == (0, 0))
            items = service.screenings.page(LOCAL, Filters(), limit=10)
            assert [item.state for item in items] == [State.DONE]

    asyncio.run(scene())
    assert sent == []
