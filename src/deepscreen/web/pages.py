"""Puts the console into the service: its routes, and pages instead of problem bodies for those who navigate."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from deepscreen.api.http_errors import Unauthenticated, problem_of
from deepscreen.api.wire import Problem
from deepscreen.errors import DeepscreenError
from deepscreen.web import (
    assets,
    routes_cases,
    routes_compare,
    routes_inbox,
    routes_item,
    routes_login,
    routes_methods,
    routes_service,
)
from deepscreen.web.page import render

PAGES = (
    assets,
    routes_login,
    routes_inbox,
    routes_item,
    routes_compare,
    routes_cases,
    routes_methods,
    routes_service,
)


def install(app: FastAPI) -> None:
    """Adds the pages to *app*, an app of the HTTP API."""
    for module in PAGES:
        app.include_router(module.router)
    for kind in (DeepscreenError, HTTPException, RequestValidationError):
        answer_clients = app.exception_handlers[kind]

        async def answer(request: Request, error: Exception, clients: object = answer_clients) -> Response:
            if not _is_navigation(request):
                response: Response = await clients(request, error)  # type: ignore[operator]
                return response
            return _error_page(request, error)

        app.add_exception_handler(kind, answer)


def _is_navigation(request: Request) -> bool:
    """Whether a person reads the answer: a browser goes to a page. Programs get problem bodies, wherever they ask."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _error_page(request: Request, error: Exception) -> Response:
    if isinstance(error, Unauthenticated):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": f"/login?next={quote(wanted, safe='')}"})
    request_id = request.state.request_id
    if isinstance(error, DeepscreenError):
        problem = problem_of(error, request_id)
    else:
        status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else HTTPStatus.UNPROCESSABLE_ENTITY)
        problem = Problem(type="", title=status.phrase, status=status, detail="", instance=request_id)
    return render(request, None, "error.html", status=HTTPStatus(problem.status), problem=problem)
