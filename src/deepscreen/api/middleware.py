"""The shell around every request: request id, allowed hosts and origins, security headers, unforeseen errors."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepscreen.api.admission import ClientGone
from deepscreen.api.http_errors import (
    ForeignOrigin,
    HostNotAllowed,
    WrongParameter,
    error_response,
    internal_problem,
    problem_response,
)
from deepscreen.errors import DeepscreenError

logger = logging.getLogger(__name__)

# Names of this machine as seen from itself. A page that rebinds its own name to 127.0.0.1 sends its own name.
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
REQUEST_ID_BYTES = 8
TUS_PATH, TUS_VERSION = "/v1/uploads", "1.0.0"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",  # routes whose answers never change say otherwise
}

TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


class RequestShell:
    """ASGI middleware around the whole application; an error inside never leaves it as anything but a problem body."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str], behind_tls: bool) -> None:
        self._app = app
        self._headers = SECURITY_HEADERS | (TLS_HEADERS if behind_tls else {})
        # Another address of 127.0.0.0/8 is this machine's too; the unspecified address is nobody's name.
        self._names = LOCAL_NAMES | ({name.lower() for name in names} - {"0.0.0.0", "::"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles HTTP requests; everything else is passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(REQUEST_ID_BYTES)
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(send, request_id, self._headers, is_tus=scope["path"].startswith(TUS_PATH))
        try:
            self._check_sender(Headers(scope=scope))
            _check_text(scope)
            await self._app(scope, receive, reply)
        except DeepscreenError as error:
            await error_response(error, request_id)(scope, receive, reply)
        except (ClientDisconnect, ClientGone):
            logger.info("request %s: the client left before the answer", request_id)
        except Exception:  # the one place that catches all: a request may fail, the service may not
            logger.exception("request %s failed", request_id)
            if not reply.is_started:
                await problem_response(internal_problem(request_id))(scope, receive, reply)

    def _check_sender(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if _host_name("//" + host) not in self._names:
            raise HostNotAllowed(
                f"host {host!r} is not this service; use http://localhost:<port>/ or add it to public_names"
            )
        origin = headers.get("origin")
        if origin is not None and _host_name(origin) not in self._names:
            raise ForeignOrigin(f"requests from pages of {origin!r} are refused")


class _Reply:
    """The way back to the client; puts our headers on the response as it starts."""

    def __init__(self, send: Send, request_id: str, always: Mapping[str, str], *, is_tus: bool) -> None:
        self._send = send
        self._request_id, self._always, self._is_tus = request_id, always, is_tus
        self.is_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            if self._is_tus:  # errors too must say it
                headers["Tus-Resumable"] = TUS_VERSION
            for name, value in self._always.items():
                headers.setdefault(name, value)
        await self._send(message)


def _check_text(scope: Scope) -> None:
    """No id and no filter has the character 0, and Postgres cannot even compare a text with it."""
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise WrongParameter("the path or the query has the character 0")


def _host_name(url: str) -> str | None:
    """The host of *url* in lower case, an IPv6 address in brackets; None where there is none."""
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{name}]" if name and ":" in name else name
