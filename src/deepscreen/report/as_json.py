"""The envelope around a record: one canonical JSON line a file, as ``scan`` writes it."""

from __future__ import annotations

import base64
import json
from typing import Any

import rfc8785

from deepscreen.record import Screening


def envelope_line(path: bytes | str, *, screening: Screening | None = None, error: Exception | None = None) -> bytes:
    """``{"path", "screening"}`` or ``{"path", "error": {"type", "message"}}`` as RFC 8785 JSON with a line feed.

    *path* is relative to the scanned folder; a ``str`` may carry undecodable bytes as Python's file functions return
    them. Where the name is not UTF-8, ``path_bytes_b64`` holds its bytes and ``path`` a form with U+FFFD. The record
    inside is byte for byte ``screening.canonical_json()``. Raises ValueError unless exactly one of both is given.
    """
    if (screening is None) == (error is None):
        raise ValueError("envelope_line: want either a screening or an error, got both or neither")
    envelope = _path_fields(path)
    if screening is not None:
        envelope["screening"] = screening.model_dump(mode="json")
    else:
        envelope["error"] = {"type": type(error).__name__, "message": _well_formed(str(error))}
    return rfc8785.dumps(envelope) + b"\n"


def envelope_path(line: bytes) -> bytes | None:
    """The path that ``envelope_line`` wrote; None for a line that is not whole."""
    try:
        envelope = json.loads(line)
        encoded = envelope.get("path_bytes_b64")
        return base64.b64decode(encoded) if encoded is not None else str(envelope["path"]).encode()
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _path_fields(path: bytes | str) -> dict[str, Any]:
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    try:
        return {"path": raw.decode("utf-8")}
    except UnicodeDecodeError:
        encoded = base64.b64encode(raw).decode("ascii")
        return {"path": raw.decode("utf-8", "replace"), "path_bytes_b64": encoded}


def _well_formed(message: str) -> str:
    """Messages quote file names; JSON has no place for lone surrogates."""
    return message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
