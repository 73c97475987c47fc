"""How the routes describe themselves in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from deepscreen.api.examples import example_envelope, example_problem
from deepscreen.api.http_errors import PROBLEM_MEDIA_TYPE
from deepscreen.api.uploads import FIELD_NAME

PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def documented(*statuses: HTTPStatus, asks_for_a_key: bool = True) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for problem bodies: *statuses*, those that any request may get, and the shape of any other."""
    always = (
        *((HTTPStatus.UNAUTHORIZED,) if asks_for_a_key else ()),
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
    entries: dict[int | str, dict[str, Any]] = {int(s): _problem(s) for s in (*statuses, *always)}
    entries["default"] = {
        "description": "Any other error.",
        "content": {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
    }
    return entries


def _problem(status: HTTPStatus) -> dict[str, Any]:
    example = example_problem(status)
    content = {"schema": PROBLEM_SCHEMA, "example": example.model_dump()}
    entry: dict[str, Any] = {"description": example.title, "content": {PROBLEM_MEDIA_TYPE: content}}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        entry["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return entry


def documented_envelope(description: str) -> dict[str, Any]:
    example = example_envelope().model_dump(mode="json")
    return {"description": description, "content": {"application/json": {"example": example}}}


UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD_NAME],
                    "additionalProperties": False,
                    "properties": {
                        FIELD_NAME: {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "The image, video or sound file; its type is told by its content.",
                        }
                    },
                }
            }
        },
    }
}
CHUNK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TUS_HEADERS = {
    "Upload-Offset": {"description": "Bytes that are here.", "schema": {"type": "integer"}},
    "Upload-Expires": {"description": "Until when they are kept.", "schema": {"type": "string"}},
}
LOCATION_HEADER = {"Location": {"description": "Path of the new screening.", "schema": {"type": "string"}}}
PNG_CONTENT = {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}
PARTIAL = {
    "description": "The range of bytes that was asked for.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
NOT_MODIFIED = {"description": "The client's copy (If-None-Match) is the current one."}
