"""Sessions for pages in a browser: a cookie that no script reads, and a token that no other site knows."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from deepscreen.api.auth import SESSION_COOKIE
from deepscreen.api.context import Anyone, ServiceDep
from deepscreen.api.documented import documented
from deepscreen.api.http_errors import Unauthenticated
from deepscreen.api.wire import Login, SessionInfo
from deepscreen.store.sessions import csrf_token_of

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Begin a session with an API key",
    responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS),
    openapi_extra={"security": []},
)
def begin_session(
    request: Request, response: Response, service: ServiceDep, login: Annotated[Login, Body()]
) -> SessionInfo:
    """Sets the cookie. Send `csrf_token` as `X-CSRF-Token` with every request that changes something."""
    service.doorkeeper.count_login(request.client.host if request.client else "")
    key = service.doorkeeper.keys.find(login.key.get_secret_value().strip())
    if key is None:
        raise Unauthenticated("the key is unknown, expired or revoked")
    token, session = service.sessions.begin(key)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(service.settings.session_hours * 3600),
        httponly=True,
        samesite="strict",
        secure=service.settings.behind_tls or request.url.scheme == "https",
    )
    return SessionInfo(
        id=key.id,
        name=key.name,
        role=key.role,
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        csrf_token=csrf_token_of(token),
    )


@router.get("", summary="Who the caller is", responses=documented())
def read_session(request: Request, service: ServiceDep, caller: Anyone) -> SessionInfo:
    """Gives id and role; in a session also its end, and the token that a page needs again after it was reloaded."""
    token = request.cookies.get(SESSION_COOKIE)
    session = service.sessions.find(token) if token and "authorization" not in request.headers else None
    if session is None or token is None:
        return SessionInfo(id=caller.id, name=None, role=caller.role, expires_at=None, csrf_token=None)
    return SessionInfo(
        id=caller.id,
        name=session.key.name,
        role=caller.role,
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        csrf_token=csrf_token_of(token),
    )


@router.delete(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="End the session",
    responses=documented(),
)
def end_session(request: Request, service: ServiceDep, caller: Anyone) -> Response:
    """The cookie opens nothing any more, wherever it was copied to. Has no effect without one."""
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        service.sessions.end(token, actor=caller.id)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response
