"""Asks a time-stamping authority for tokens (RFC 3161). The only part of the store that opens a connection, and only
where ``timestamp_url`` names an authority: it is sent a hash, nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from deepscreen.errors import ConfigError, StoreUnavailable

TIMEOUT_SECONDS = 20.0
MAX_TOKEN_BYTES = 256 * 1024


class TokenRefused(Exception):
    """A token does not prove what it should."""


class Authority:
    """An authority at *url*, whose certificates lead to one of the *roots*."""

    def __init__(self, url: str, roots: tuple[Certificate, ...]) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ConfigError("timestamp_url: want http://... or https://...")
        self._url, self._roots = url, roots

    def stamp(self, content: bytes) -> tuple[bytes, datetime]:
        """A token that *content* existed at the time that is given with it, proven.

        Raises StoreUnavailable where the authority does not answer, or not with such a token.
        """
        request = TimestampRequestBuilder().data(content).nonce(nonce=True).cert_request(cert_request=True).build()
        answer = self._ask(request.as_bytes())
        try:
            return answer, check_token(answer, content, self._roots, nonce=request.nonce)
        except TokenRefused as error:
            raise StoreUnavailable(f"the time-stamping authority gave a token that proves nothing: {error}") from error

    def _ask(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
                content: bytes = answer.read(MAX_TOKEN_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"the time-stamping authority does not answer: {error}") from error
        if len(content) > MAX_TOKEN_BYTES:
            raise StoreUnavailable("the time-stamping authority answers with more than a token")
        return content


def read_roots(path: Path) -> tuple[Certificate, ...]:
    """The certificates in a PEM file; raises ConfigError."""
    try:
        return tuple(load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"timestamp_ca_file {path}: no readable PEM certificates") from error


def check_token(token: bytes, content: bytes, roots: tuple[Certificate, ...], *, nonce: int | None = None) -> datetime:
    """The time at which *content* existed, as a token says under one of the *roots*; raises TokenRefused."""
    builder = VerifierBuilder(nonce=nonce, roots=list(roots))
    try:
        response: TimeStampResponse = decode_timestamp_response(token)
        builder.build().verify_message(response, content)
    except (VerificationError, ValueError) as error:
        raise TokenRefused(str(error)) from error
    return response.tst_info.gen_time


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An authority that sends elsewhere is not the one that was named."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
