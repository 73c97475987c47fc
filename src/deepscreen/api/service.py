"""What the routes work with: the desk once it is loaded, the places, the results; and the way of one upload."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from starlette.requests import Request

from deepscreen.api.admission import Admission
from deepscreen.api.auth import Doorkeeper
from deepscreen.api.http_errors import NotReady
from deepscreen.api.results import ResultFolder
from deepscreen.api.uploads import receive_upload
from deepscreen.screening import Screened, ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.keys import KeyRing
from deepscreen.store.store import Store

logger = logging.getLogger(__name__)

DeskFactory = Callable[[Settings], ScreeningDesk]


class Service:
    """One running service. Loading begins at once, in a thread of its own; ``close`` waits for what runs."""

    def __init__(self, settings: Settings, store: Store, desk_factory: DeskFactory) -> None:
        self.settings = settings
        self.store = store
        self.doorkeeper = Doorkeeper(KeyRing(store.database), requests_per_minute=settings.requests_per_minute)
        self.admission = Admission(max_concurrent=settings.max_concurrent, max_waiting=settings.max_waiting)
        self.results = ResultFolder(store.data_dir)
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="desk-loader")
        self._loading = self._loader.submit(desk_factory, settings)
        self._loading.add_done_callback(_log_load)

    def desk(self) -> ScreeningDesk:
        """The loaded desk; raises NotReady until it is there, or the error that kept it from being loaded."""
        if not self._loading.done():
            raise NotReady("the detectors are still being loaded; ask /readyz and come back")
        error = self._loading.exception()
        if error is not None:
            raise error.with_traceback(None)
        return self._loading.result()

    async def screen_upload(self, request: Request) -> str:
        """Takes the upload in, has it screened, keeps the result and removes the original; gives the result's id.

        Raises NotReady and Overloaded before a byte of the body is read, MediaError and RequestError about the upload,
        ClientGone or ClientDisconnect where nobody waits any more.
        """
        desk = self.desk()
        with self.admission.try_enter() as place:
            path = self.results.upload_path()
            place.defer(functools.partial(path.unlink, missing_ok=True))
            upload = await receive_upload(request, path, limits=self.settings.limits)
            created_at = datetime.now(UTC)
            screened = await place.run(functools.partial(desk.screen, upload.intake), gone=_client_gone(request))
            _log_screening(screened)
            keep = functools.partial(self.results.put, filename=upload.filename, created_at=created_at)
            return await asyncio.to_thread(keep, screened)

    def close(self) -> None:
        """Lets running screenings end, then closes the desk."""
        self.admission.close()
        self._loader.shutdown(wait=True)
        if self._loading.exception() is None:
            self._loading.result().close()


async def _client_gone(request: Request) -> None:
    """Returns when the client has left; to be used after the body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _log_load(loading: Future[ScreeningDesk]) -> None:
    error = loading.exception()
    if error is None:
        logger.info("ready: method %s", loading.result().provenance.method_digest[:12])
    else:
        logger.error("the detectors could not be loaded: %s: %s", type(error).__name__, error)


def _log_screening(screened: Screened) -> None:
    media = screened.screening.media
    stages = " ".join(f"{name}={1000 * took:.0f}ms" for name, took in screened.stage_seconds.items())
    logger.info("screened %s %s %s %s", media.sha256[:12], media.kind, screened.screening.overall.verdict, stages)
