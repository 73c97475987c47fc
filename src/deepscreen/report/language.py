"""The languages of reports: message catalogues (gettext ``.po`` files, read with Babel) and local forms of numbers.

English is the language of the sources: a text without a translation stands in English. To add a language, write
``locale/<code>.po``; a test tells which texts it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from babel import Locale, numbers
from babel.messages.pofile import read_po

from deepscreen.errors import ConfigError

LOCALE = Path(__file__).parent / "locale"
ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its code, and its texts by the English ones."""

    code: str
    texts: Mapping[str, str]

    def gettext(self, message: str) -> str:
        """*message* in this language, or as it is."""
        return self.texts.get(message) or message

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """The form for *count* things; catalogues hold both forms as texts of their own."""
        return self.gettext(singular if count == 1 else plural)

    def number(self, value: float, *, decimals: int = 2, signed: bool = False) -> str:
        """A figure in local form, ``+2,50`` in German; zero has no sign."""
        rounded = round(value, decimals)
        text = numbers.format_decimal(
            abs(rounded), format="#,##0" + ("." + "0" * decimals if decimals else ""), locale=Locale.parse(self.code)
        )
        sign = "-" if rounded < 0 else "+" if signed and rounded > 0 else ""
        return f"{sign}{text}"


def languages() -> tuple[str, ...]:
    """The codes of all languages that there are."""
    return (ENGLISH, *sorted(path.stem for path in LOCALE.glob("*.po")))


@lru_cache
def language_of(code: str, *more: Path) -> Language:
    """The language with this code; raises ConfigError that names those there are.

    ``more``: folders of further catalogues, for what uses the reports' texts and has some of its own.
    """
    if code == ENGLISH:
        return Language(ENGLISH, {})
    if code not in languages():
        raise ConfigError(f"no reports in the language {code!r}; there are {', '.join(languages())}")
    texts: dict[str, str] = {}
    for folder in (LOCALE, *more):
        with (folder / f"{code}.po").open("rb") as file:
            texts |= {str(m.id): str(m.string) for m in read_po(file, locale=code) if m.id and m.string}
    return Language(code, texts)
