"""Where a page of a list ends: a token that names the last one seen."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from deepscreen.api.http_errors import WrongParameter


class Listed(Protocol):
    """What lists are ordered by."""

    @property
    def id(self) -> str: ...

    @property
    def created_at(self) -> float: ...


def token_of(item: Listed) -> str:
    """The token of the page that ends with *item*."""
    return base64.urlsafe_b64encode(f"{item.created_at!r} {item.id}".encode()).decode()


def position_of(token: str | None) -> tuple[float, str] | None:
    """What ``Screenings.page`` and ``Register.page`` call *before*; raises WrongParameter."""
    if token is None:
        return None
    try:
        created_at, _, last_id = base64.urlsafe_b64decode(token).decode().partition(" ")
        if "\0" in last_id:  # which a database of text does not take
            raise ValueError("NUL in an id")
        return float(created_at), last_id
    except (binascii.Error, ValueError) as error:
        raise WrongParameter("before: want the `next` of a page before") from error
