"""What goes on, as one stream for a page that shows many screenings."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.examples import EXAMPLE_ID
from deepscreen.api.service import EVENT_SECONDS, Service
from deepscreen.store.computations import State
from deepscreen.store.keys import Caller
from deepscreen.store.screenings import Filters

# A stream ends after this long and is asked for again: a session that has ended is noticed, and the service can stop.
STREAM_SECONDS = 15.0
WATCHED = 200  # the newest screenings of the caller
EVENTS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": f'event: load\ndata: {{"queued": 3, "running": 2, "changed": ["{EXAMPLE_ID}"]}}\n\n',
    }
}
router = APIRouter(tags=["screenings"])
Look = tuple[int, int, dict[str, State]]


@router.get(
    "/v1/events",
    summary="Changes among the newest screenings, and the load, as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"description": "Events named `load`.", "content": EVENTS}, **documented(HTTPStatus.FORBIDDEN)},
)
async def read_all_events(service: ServiceDep, caller: Anyone) -> StreamingResponse:
    """Sends an event `load` at once and at each change: how much waits and runs, and which of the caller's newest 200
    screenings are new or in another state. Ends after 15 seconds; ask again, as browsers do."""
    return StreamingResponse(_events(service, caller), media_type="text/event-stream")


async def _events(service: Service, caller: Caller) -> AsyncIterator[str]:
    until = time.monotonic() + STREAM_SECONDS
    told = await asyncio.to_thread(_look, service, caller)
    yield _event(told, changed=[])
    while time.monotonic() < until:
        await asyncio.sleep(EVENT_SECONDS)
        now = await asyncio.to_thread(_look, service, caller)
        changed = [name for name, state in now[2].items() if told[2].get(name) is not state]
        # A comment keeps proxies from closing the connection, and notices a client that left.
        yield ": still\n\n" if now == told else _event(now, changed=changed)
        told = now


def _look(service: Service, caller: Caller) -> Look:
    queued, running = service.queue.depth()
    newest = service.screenings.page(caller, Filters(), limit=WATCHED)
    return queued, running, {item.id: item.state for item in newest}


def _event(look: Look, *, changed: list[str]) -> str:
    told = {"queued": look[0], "running": look[1], "changed": changed}
    return f"retry: 500\nevent: load\ndata: {json.dumps(told)}\n\n"
