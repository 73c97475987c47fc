"""The console speaks German wherever it speaks English, and what scripts say is among its texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepscreen.api import http_errors
from deepscreen.api.http_errors import internal_problem
from deepscreen.api.wire import NOTHING_OUT
from deepscreen.engine import differences
from deepscreen.errors import DeepscreenError
from deepscreen.report.language import language_of
from deepscreen.store.keys import Role
from deepscreen.web import meaning, page, register_words, words
from deepscreen.web.browser_texts import BROWSER_TEXTS

WEB = Path(page.__file__).parent


def texts_of_templates() -> Iterator[str]:
    made = page.environment("en")
    for path in sorted((WEB / "templates").glob("*.html")):
        for _, _, message in made.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            yield from filter(None, message if isinstance(message, tuple) else [message])


def texts_of_code() -> Iterator[str]:
    yield from BROWSER_TEXTS.values()
    yield from words.OUTCOME_WORDS.values()
    yield from words.KIND_WORDS.values()
    yield from words.ALIKE_WORDS.values()
    yield from words.OVERALL_WORDS.values()
    for heading, lines in words.KEY_HELP:
        yield heading
        yield from (what for _, what in lines)
    yield from meaning.KINDS.values()
    yield from meaning.SAID.values()
    yield from meaning.WHY_ABSENT.values()
    for steps in meaning.NEXT.values():
        yield from steps
    constants = ("FOR_NONE", "FOR_SPOOF", "FOR_BONA_FIDE", "EITHER_SIDE", "ONE_SIDE", "AT_LIMIT", "COUNTED", "FORCED")
    yield from (getattr(meaning, name) for name in constants)
    yield from (role.value for role in Role)
    yield from differences.KINDS
    yield from (http_errors.title_of(kind) for kind in all_kinds(DeepscreenError))
    yield from (internal_problem("").title, internal_problem("").detail, "Not Found", "Method Not Allowed")
    yield from ("valid", "expired", "revoked", NOTHING_OUT)
    yield from register_words.TOOL_KIND_WORDS.values()
    yield from register_words.MISUSE_WORDS.values()
    yield from register_words.STATUS_WORDS.values()


def all_kinds(root: type[DeepscreenError]) -> Iterator[type[DeepscreenError]]:
    """Every error that the program knows; their titles head the pages of errors."""
    if root.__module__.startswith("deepscreen."):
        yield root
    for kind in root.__subclasses__():
        yield from all_kinds(kind)


TEXTS = sorted(set(texts_of_templates()) | set(texts_of_code()))


def test_texts_are_found() -> None:
    assert len(TEXTS) > 200


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_translated_with_all_its_values(text: str) -> None:
    german = language_of("de", page.LOCALE).texts
    assert text in german, "add it to web/locale/de.po"
    value = re.compile(r"%\(\w+\)s|\{\w+\}")
    assert sorted(value.findall(text)) == sorted(value.findall(german[text]))


def test_scripts_ask_for_texts_that_there_are_and_for_all_of_them() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (WEB / "static").glob("*.js"))
    asked = set(re.findall(r'\btext\("(\w+)"', scripts))
    named = {name for name in BROWSER_TEXTS if re.search(rf'"{name}"', scripts)}
    assert asked <= set(BROWSER_TEXTS)
    states = {"uploading", "paused", "sent", "waiting"}  # named by the state of an upload
    assert set(BROWSER_TEXTS) - named - states == set()
