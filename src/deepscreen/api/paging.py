"""Where a page of screenings ends: a token that names the last one seen."""

from __future__ import annotations

import base64
import binascii

from deepscreen.api.http_errors import WrongParameter
from deepscreen.store.screenings import Item


def token_of(item: Item) -> str:
    """The token of the page that ends with *item*."""
    return base64.urlsafe_b64encode(f"{item.created_at!r} {item.id}".encode()).decode()


def position_of(token: str | None) -> tuple[float, str] | None:
    """What ``Screenings.page`` calls *before*; raises WrongParameter."""
    if token is None:
        return None
    try:
        created_at, _, screening_id = base64.urlsafe_b64decode(token).decode().partition(" ")
        return float(created_at), screening_id
    except (binascii.Error, ValueError) as error:
        raise WrongParameter("before: want the `next` of a page before") from error
