"""Entries of the misuse register hold what they may, and nothing that looks like personal data or media."""

from __future__ import annotations

import base64
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError
from register_samples import AT, entry

from deepscreen.record import ModalityName
from deepscreen.register.campaigns import Member, campaigns_of
from deepscreen.register.entry import PERSONAL, Tlp, without_personal_data

PERSONAL_TEXTS = [
    "mailto ada@example.org please",
    "posted by @ada_l on a platform",
    "called from +49 170 1234567",
    "called from 0049 (30) 901820-0",
    "called from 0170/1234567",
    "called from +49.170.1234567",
    "paid to DE89 3704 0044 0532 0130 00",
    "data:image/png;base64,iVBOR",
    "iVBORw0KGgo" * 12,
]
HARMLESS_TEXTS = [
    "Case 2026-117, seen on 2026-11-03 at 14:05, 30 copies",
    "Model v0.3.12 at 512x512, seed 1234567890",
    "cost 1 000 000, 0.25 to 0.75, 00:01:23",
    "Stable Diffusion XL 1.0; ComfyUI; e-mail was used",
    "@ the office",
    "on 01/02/2026 14:05, again on 03.02.2026 09:30 and 04-02-26 10:00",
    "Überweisung nach Anruf",
]


@pytest.mark.parametrize("text", PERSONAL_TEXTS)
def test_what_looks_personal_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="holds what looks like"):
        entry(1, modus_operandi=text)


def test_every_kind_of_trace_is_met_by_a_text() -> None:
    met = {name for name, pattern in PERSONAL.items() if any(pattern.search(text) for text in PERSONAL_TEXTS)}
    assert met == set(PERSONAL)


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_what_does_not_look_personal_is_taken(text: str) -> None:
    assert without_personal_data(text) == text


def test_traces_are_found_in_little_time() -> None:
    """Hostile texts must not make a pattern run for ever: the longest that a field takes, of what each one counts."""
    for piece in ("0", "0 ", "+0(", "A", "AA00 ", "@", "a@", "data:", "a@b", "Z9"):
        for name, pattern in PERSONAL.items():
            assert isinstance(bool(pattern.search(piece * 2000)), bool), name


@pytest.mark.parametrize(
    "fields",
    [
        {"tool": ""},
        {"tool": "two\nlines"},
        {"tool": "nul\x00"},
        {"modus_operandi": "x y " * 501},
        {"modus_operandi": "bell\x07"},
        {"case_reference": "x y" * 40},
        {"tlp": "purple"},
        {"tlp": None},
        {"id": "5f2d8c9a-41b0-1e66-98d1-f0a29c7b4e01"},
        {"created_at": datetime(1999, 1, 1, tzinfo=UTC)},
        {"created_at": datetime(2026, 1, 1)},
        {"revised_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"filename": "x.jpg"},
    ],
    ids=str,
)
def test_field_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        entry(1, **fields)


def test_times_are_kept_to_the_millisecond() -> None:
    assert entry(1).created_at == AT.replace(microsecond=123_000)


@pytest.mark.parametrize(
    ("kind", "n_bytes", "fits"),
    [
        ("image", 32, True),
        ("image", 64, False),
        ("video", 256, True),
        ("video", 288, False),
        ("video", 33, False),
        ("audio", 8 * 2579, True),
        ("audio", 8 * 3000, False),
        ("audio", 12, False),
        ("audio", 0, False),
    ],
)
def test_fingerprint_is_of_its_kind(kind: str, n_bytes: int, fits: bool) -> None:
    fingerprint = base64.b64encode(bytes(n_bytes)).decode()
    if fits:
        assert entry(1, kind=kind, fingerprint=fingerprint).fingerprint == fingerprint
        return
    with pytest.raises(ValidationError, match="fingerprint"):
        entry(1, kind=kind, fingerprint=fingerprint)


def test_marks_reach_who_may_see_them() -> None:
    reach = {mark: [audience.value for audience in Tlp if mark.reaches(audience)] for mark in Tlp}
    assert reach[Tlp.CLEAR] == ["clear", "green", "amber", "amber+strict", "red"]
    assert reach[Tlp.AMBER_STRICT] == ["amber+strict", "red"]
    assert reach[Tlp.RED] == ["red"]


def test_copies_form_a_campaign_that_bears_the_oldest_ones_name() -> None:
    rng = np.random.default_rng(1)
    first, other = rng.bytes(32), rng.bytes(32)
    near = bytes([first[0] ^ 0b111, *first[1:]])
    members = [
        Member("a", "image", "1", first),
        Member("b", "image", "2", other),
        Member("c", "image", "3", near),
        Member("d", "image", "2", None),  # the same file, under limits that did not let it be decoded
        Member("e", "video", "4", first * 8),
        Member("f", "image", "5", None),
        Member("g", "video", "6", near * 8),
    ]
    assert campaigns_of(members) == {"a": "a", "c": "a", "b": "b", "d": "b", "e": "e", "g": "e"}
    assert campaigns_of([]) == {}


@pytest.mark.parametrize(("kind", "n_bytes"), [("image", 32), ("video", 8 * 32), ("audio", 8 * 100)])
def test_entries_of_one_fingerprint_take_memory_by_their_number(kind: ModalityName, n_bytes: int) -> None:
    content = np.random.default_rng(2).bytes(n_bytes)
    members = [Member(str(n), kind, str(n), content) for n in range(5_000)]
    tracemalloc.start()
    found = campaigns_of(members)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {str(n): "0" for n in range(5_000)}
    assert peak_bytes < 10_000_000


def test_clips_of_too_few_frames_are_no_campaign() -> None:
    content = np.random.default_rng(2).bytes(2 * 32)
    assert campaigns_of([Member("a", "video", "1", content), Member("b", "video", "2", content)]) == {}
