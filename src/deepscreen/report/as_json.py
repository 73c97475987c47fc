"""The envelope around a record: one canonical JSON line a file, as ``scan`` writes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
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
    if screening is not None:
        return scan_line(path, record=screening.canonical_json())
    return scan_line(path, error=(type(error).__name__, str(error)))


def scan_line(
    path: bytes | str,
    *,
    record: bytes | None = None,
    error: tuple[str, str] | None = None,
    facts: Mapping[str, str | int | bool | None] | None = None,
) -> bytes:
    """The envelope of one file of a scan as RFC 8785 JSON with a line feed. Its path is as for ``envelope_line``.

    ``record``: the canonical JSON of its screening. ``error``: class and message. ``facts``: what else the scan knows
    of the file; None is left out, text may carry undecodable bytes.
    """
    envelope: dict[str, Any] = _path_fields(path)
    for name, value in (facts or {}).items():
        if value is not None:
            envelope[name] = _well_formed(value) if isinstance(value, str) else value
    if error is not None:
        envelope["error"] = {"type": error[0], "message": _well_formed(error[1])}
    if record is None:
        return rfc8785.dumps(envelope) + b"\n"
    # The record is canonical already, and large: it is put in place of a null. No text can look like that place, for
    # quotation marks within text are escaped.
    return rfc8785.dumps({**envelope, "screening": None}).replace(b'"screening":null', b'"screening":' + record) + b"\n"


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
