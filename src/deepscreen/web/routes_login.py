"""The page to begin a session on, with a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from deepscreen.web.page import render

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login_page(request: Request, wanted: Annotated[str, Query(alias="next", max_length=2000)] = "/") -> Response:
    """Asks for a key; its script begins the session and goes on to *wanted*, on this service only."""
    return render(request, None, "login.html", wanted=wanted)
