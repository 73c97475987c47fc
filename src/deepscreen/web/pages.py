"""Puts the console into the service: its routes, and pages instead of problem bodies for those who navigate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from deepscreen.api.http_errors import Unauthenticated
from deepscreen.api.wire import Problem
from deepscreen.errors import DeepscreenError
from deepscreen.store.screenings import NotThere
from deepscreen.web import (
    assets,
    routes_cases,
    routes_compare,
    routes_inbox,
    routes_item,
    routes_login,
    routes_methods,
    routes_register,
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
    routes_register,
    routes_methods,
    routes_service,
)


def install(app: FastAPI) -> None:
    """Adds the pages to *app*, an app of the HTTP API."""
    for module in PAGES:
        app.include_router(module.router)
    for kind in (DeepscreenError, NotThere, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer(app.exception_handlers[kind]))


def _answer(clients: Any) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What a person gets is what a program gets, as a page."""

    async def answer(request: Request, error: Exception) -> Response:
        response: Response = await clients(request, error)
        return _error_page(request, error, response) if _is_navigation(request) else response

    return answer


def _is_navigation(request: Request) -> bool:
    """Whether a person reads the answer: a browser goes to a page. Programs get problem bodies, wherever they ask."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _error_page(request: Request, error: Exception, response: Response) -> Response:
    if isinstance(error, Unauthenticated):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": f"/login?next={quote(wanted, safe='')}"})
    problem = Problem.model_validate_json(bytes(response.body))
    page = render(request, None, "error.html", status=HTTPStatus(problem.status), problem=problem)
    if "retry-after" in response.headers:
        page.headers["Retry-After"] = response.headers["retry-after"]
    return page
