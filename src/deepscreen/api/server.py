"""Runs the service: one process, on loopback, until a signal ends it gracefully."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from deepscreen.api.app import Pages, create_app
from deepscreen.api.data_folder import open_data_folder
from deepscreen.api.service import DeskFactory
from deepscreen.errors import ConfigError
from deepscreen.process import keep_what_is_loaded
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.keys import KeyRing
from deepscreen.store.store import Store

logger = logging.getLogger(__name__)

GRACEFUL_SHUTDOWN_SECONDS = 30


def check_bind(host: str, *, has_keys: bool, allow_unauthenticated_network: bool = False) -> None:
    """Raises ConfigError for any host but a loopback address as long as no key was made: nobody could be kept out.

    *allow_unauthenticated_network* is for a container whose port is published on the host's loopback only.
    """
    if host == "localhost":
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise ConfigError(f"host {host!r} is no IP address; use 127.0.0.1, ::1 or localhost") from error
    if address.is_loopback or has_keys:
        return
    if not allow_unauthenticated_network:
        raise ConfigError(
            f"host {host} can be reached from other machines, and no key was made; run `deepscreen keys create`, use "
            "127.0.0.1, or in a container whose port is published on loopback set "
            "DEEPSCREEN_ALLOW_UNAUTHENTICATED_NETWORK=1"
        )
    logger.warning(
        "listening on %s WITHOUT AUTHENTICATION: whoever reaches this port can send files and use this machine. "
        "Publish it on 127.0.0.1 only.",
        host,
    )


def serve(
    settings: Settings,
    *,
    desk_factory: DeskFactory | None = ScreeningDesk.build,
    announce: Callable[[str], None] = logger.info,
    pages: Pages | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM; without a *desk_factory*, workers elsewhere screen.

    *announce* is told the URL, with the real port where ``port`` is 0. Raises ConfigError where the address cannot be
    used, and what kept the desk from being built (WeightsError and others): a service that cannot screen does not stay
    up.
    """
    has_keys = _check_store(settings) or settings.oidc_issuer is not None
    check_bind(settings.host, has_keys=has_keys, allow_unauthenticated_network=settings.allow_unauthenticated_network)
    if not has_keys:
        logger.warning(
            "no key was made: whoever is on this machine may do everything. `deepscreen keys create` ends that."
        )
    failures: list[BaseException] = []

    def build_or_stop(settings: Settings) -> ScreeningDesk:
        assert desk_factory is not None
        try:
            desk = desk_factory(settings)
        except BaseException as error:
            failures.append(error)
            server.should_exit = True
            raise
        keep_what_is_loaded()
        return desk

    with _listen(settings) as listener:
        server = uvicorn.Server(_configure(settings, build_or_stop if desk_factory else None, pages))
        announce(_url(listener))
        with _signals_end(server):
            server.run(sockets=[listener])
    if failures:
        raise failures[0]


def _configure(settings: Settings, desk_factory: DeskFactory | None, pages: Pages | None) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings, desk_factory, pages=pages),
        lifespan="on",
        log_config=None,  # the command line sets logging up
        access_log=False,  # paths hold result ids, and an id opens its result
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )


def _check_store(settings: Settings) -> bool:
    """Whether keys are in use. Raises ConfigError early: from inside the app it would become uvicorn's exit code."""
    if settings.data_dir is None:
        return False
    with open_data_folder(settings.data_dir) as data_dir:
        store = Store.open(settings, data_dir)
        try:
            return not KeyRing(store.database).is_empty()
        finally:
            store.close()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
        # Head and body of an answer go out in two pieces: else the second waits 40 ms for the client's delayed receipt.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port, or 0 for any"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _signals_end(server: uvicorn.Server) -> Iterator[None]:
    """SIGINT and SIGTERM end *server*, also before it runs; after its graceful end they do not kill the process."""
    handled = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, server.handle_exit) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
