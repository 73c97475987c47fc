"""How a page is made: language and theme of the reader, strict policy, templates that escape everything."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from babel import negotiate_locale
from babel.dates import format_datetime
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from deepscreen.api.auth import SESSION_COOKIE
from deepscreen.evidence.axes import clock
from deepscreen.register.entry import Tlp
from deepscreen.report import wording
from deepscreen.report.language import ENGLISH, Language, language_of, languages
from deepscreen.solve_it import NAMES, techniques_of
from deepscreen.store.keys import Caller
from deepscreen.store.sessions import csrf_token_of
from deepscreen.web.assets import asset
from deepscreen.web.browser_texts import BROWSER_TEXTS
from deepscreen.web.register_words import MISUSE_WORDS, STATUS_WORDS, TOOL_KIND_WORDS
from deepscreen.web.words import KEY_HELP, KIND_WORDS, OUTCOME_SYMBOLS, OUTCOME_WORDS, OVERALL_WORDS

FOLDER = Path(__file__).parent
LOCALE = FOLDER / "locale"
LANGUAGE_COOKIE, THEME_COOKIE = "deepscreen_language", "deepscreen_theme"
Theme = Literal["auto", "light", "dark"]
# Nothing but our own files; text becomes markup in one named place of the scripts only (Trusted Types).
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types deepscreen"
)


def language_for(request: Request) -> Language:
    """What the reader chose, or what the browser asks for, or English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    asked = re.findall(r"[A-Za-z]{2,3}(?:-[A-Za-z]{2})?", request.headers.get("accept-language", ""))
    preferred = [chosen] if chosen in languages() else [*asked, ENGLISH]
    code = negotiate_locale([str(tag).replace("-", "_") for tag in preferred], languages()) or ENGLISH
    return language_of(code, LOCALE)


def theme_of(request: Request) -> Theme:
    """What the reader chose; ``auto`` follows the machine."""
    chosen = request.cookies.get(THEME_COOKIE)
    return "light" if chosen == "light" else "dark" if chosen == "dark" else "auto"


def render(
    request: Request, caller: Caller | None, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """The page for *caller*; None before anybody has logged in."""
    language = language_for(request)
    token = request.cookies.get(SESSION_COOKIE)
    text = (
        environment(language.code)
        .get_template(template)
        .render(
            caller=caller,
            path=request.url.path,
            csrf_token=csrf_token_of(token) if token else "",
            language=language,
            theme=theme_of(request),
            browser_texts={name: language.gettext(text) for name, text in BROWSER_TEXTS.items()},
            **values,
        )
    )
    return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": POLICY})


@lru_cache
def environment(language_code: str) -> Environment:
    """Templates in one language."""
    language = language_of(language_code, LOCALE)
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: wording.shown(value) if isinstance(value, str) and type(value) is not Markup else value,
        extensions=["jinja2.ext.i18n"],
    )
    installer: Any = made  # the extension adds this method when it is loaded, which no type tells
    installer.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
    made.filters.update(
        bytes=wording.bytes_text,
        clock=clock,
        facts=wording.facts_text,
        lines=lambda text: Markup(escape(text)),  # keeps line breaks, for text areas
        moment=lambda at: moment(at, language),
        number=language.number,
        sentence=wording.sentence,
        signed=lambda value: "-" if value is None else language.number(value, signed=True),
        words=lambda text: language.gettext(str(text)),
    )
    made.globals.update(
        asset=asset,
        by_severity=wording.by_severity,
        key_help=KEY_HELP,
        kind_words=KIND_WORDS,
        misuse_words=MISUSE_WORDS,
        outcome_symbols=OUTCOME_SYMBOLS,
        outcome_words=OUTCOME_WORDS,
        status_words=STATUS_WORDS,
        overall_words=OVERALL_WORDS,
        subject_words=wording.SUBJECT_WORDS,
        technique_names=NAMES,
        techniques_of=techniques_of,
        tlp_marks=[tlp.value for tlp in Tlp],
        tool_kind_words=TOOL_KIND_WORDS,
    )
    return made


def moment(at: float | datetime, language: Language) -> str:
    """A moment in local form, always in UTC: notes of people in several places must agree."""
    when = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return format_datetime(when, "d MMM y, HH:mm", tzinfo=UTC, locale=language.code) + " UTC"
