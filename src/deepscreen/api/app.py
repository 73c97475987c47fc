"""The application: routes, error bodies, the shell around requests, and a desk that lives as long as the app does.

``python -m deepscreen.api.app`` writes the OpenAPI document to standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from deepscreen.api import (
    http_errors,
    routes_cases,
    routes_events,
    routes_files,
    routes_keys,
    routes_methods,
    routes_misuse,
    routes_misuse_exchange,
    routes_preview,
    routes_reports,
    routes_screenings,
    routes_service,
    routes_session,
    routes_uploads,
    routes_webhooks,
)
from deepscreen.api.auth import SESSION_COOKIE
from deepscreen.api.data_folder import open_data_folder
from deepscreen.api.middleware import RequestShell
from deepscreen.api.schema_examples import schema_examples
from deepscreen.api.service import DeskFactory, Service
from deepscreen.api.wire import Problem
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.store import Store

DESCRIPTION = """Screens suspect images, videos and sound for deepfakes: calibrated, explained, offline.

A record states how strongly the evidence supports one of two hypotheses, bona fide or spoof (synthetic or
manipulated). It is an investigative lead for an examiner, never proof by itself. Errors are RFC 9457 problem bodies.
"""


KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key from `deepscreen keys create`. Without one only this machine is served.",
}


SESSION_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": SESSION_COOKIE,
    "description": "From `POST /v1/session`; what changes something needs the header `X-CSRF-Token` too.",
}


class DeepscreenApi(FastAPI):
    """FastAPI, with the problem body among the schemas: responses of another media type cannot bring it themselves."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        for name, example in schema_examples().items():
            schemas[name]["examples"] = [example]
        document["components"]["securitySchemes"] = {"key": KEY_SCHEME, "session": SESSION_SCHEME}
        document["security"] = [{"key": []}, {"session": []}]
        return document


Pages = Callable[[FastAPI], None]


def create_app(
    settings: Settings, desk_factory: DeskFactory | None = ScreeningDesk.build, *, pages: Pages | None = None
) -> FastAPI:
    """The HTTP service. The desk is built in a thread when the app starts and is closed when it ends.

    Without a *desk_factory* the service only takes and gives; workers elsewhere screen. *pages* puts the console in,
    which knows this service, and not the other way round.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_data_folder(settings.data_dir) as data_dir:
            store = await asyncio.to_thread(Store.open, settings, data_dir)
            service = Service(settings, store, desk_factory)
            app.state.service = service
            chores = [
                asyncio.create_task(chore())
                for chore in (service.keep_house, service.remove_expired, service.webhook_delivery.run)
            ]
            try:
                yield
            finally:
                for chore in chores:
                    chore.cancel()
                await asyncio.to_thread(service.close)
                store.close()

    app = DeepscreenApi(
        title="Deepscreen",
        version=version("deepscreen"),
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        # The usual documentation pages load scripts from other machines.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # a route of our own asks for a key first
    )
    app.include_router(routes_screenings.router)
    app.include_router(routes_events.router)
    app.include_router(routes_files.router)
    app.include_router(routes_preview.router)
    app.include_router(routes_reports.router)
    app.include_router(routes_uploads.router)
    app.include_router(routes_cases.router)
    app.include_router(routes_misuse_exchange.router)  # its paths come before those with an id
    app.include_router(routes_misuse.router)
    app.include_router(routes_session.router)
    app.include_router(routes_keys.router)
    app.include_router(routes_webhooks.router)
    app.include_router(routes_methods.router)
    app.include_router(routes_service.router)
    app.add_middleware(RequestShell, names=(settings.host, *settings.public_names), behind_tls=settings.behind_tls)
    http_errors.install(app)
    if pages is not None:
        pages(app)
    return app


def openapi_json() -> str:
    """The OpenAPI document of the service, as published in docs/openapi.json."""
    return json.dumps(create_app(Settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_json())
