"""Scripts, styles and pictures of the console, under an address that changes with their content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response

from deepscreen.api.http_errors import NoSuchResult

FOLDER = Path(__file__).parent / "static"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
DIGEST_DIGITS = 16
FOREVER = "public, max-age=31536000, immutable"
router = APIRouter(include_in_schema=False)


@lru_cache(maxsize=1)
def contents() -> dict[str, bytes]:
    """Every file by its name."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


@lru_cache(maxsize=1)
def digest() -> str:
    """Of all files together: scripts name each other by relative addresses, so they change address together."""
    whole = hashlib.sha256()
    for name, content in contents().items():
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:DIGEST_DIGITS]


def asset(name: str) -> str:
    """The address of a file; raises KeyError where there is none."""
    return f"/static/{digest()}/{name}" if contents()[name] else ""


@router.get("/static/{folder}/{name}")
def read_asset(folder: str, name: str, request: Request) -> Response:
    """Gives a file to whoever asks: the page to log in needs it, and it is the same in every installation."""
    content = contents().get(name)
    if content is None or folder != digest():
        raise NoSuchResult("there is no such file in this version")
    headers = {"Cache-Control": FOREVER, "ETag": f'"{digest()}"'}
    if digest() in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=TYPES[Path(name).suffix], headers=headers)
