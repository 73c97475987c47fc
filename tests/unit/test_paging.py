"""Tokens of pages: what a token names is read again, and what is none is refused."""

from __future__ import annotations

import base64

import pytest
from register_samples import entry, kept

from deepscreen.api.http_errors import WrongParameter
from deepscreen.api.paging import position_of, token_of


def test_token_names_the_last_one() -> None:
    last = kept(entry(1))
    assert position_of(token_of(last)) == (last.created_at, last.id)
    assert position_of(None) is None


@pytest.mark.parametrize("decoded", [b"", b"x y", b"1.0 a\0b", b"1.0 \xff"])
def test_other_token_is_refused(decoded: bytes) -> None:
    with pytest.raises(WrongParameter):
        position_of(base64.urlsafe_b64encode(decoded).decode())
