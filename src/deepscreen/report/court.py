"""The report on one file for a court: one page that says it all, then the particulars; rendered from the record alone.

The text is the record's: figures are rounded, never recomputed. Sentences that the record holds are translated where
the catalogue has them, and else quoted in English.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepscreen.errors import ConfigError
from deepscreen.evidence.axes import clock
from deepscreen.record import ModalityResult, Screening, Verdict
from deepscreen.report import wording
from deepscreen.report.language import Language, language_of
from deepscreen.report.validation_figures import ErrorRates
from deepscreen.solve_it import NAMES, techniques_of

TEMPLATES = Path(__file__).parent / "templates"
MAX_PICTURE_BYTES = 8 * 1024 * 1024  # the renderer holds the whole document in memory
FINDINGS_ON_FIRST_PAGE = 4


@dataclass(frozen=True, slots=True, repr=False)
class CourtCase:
    """What a report is made from. ``name``: of the file, as the examiner has it; it is not part of the record."""

    screening: Screening
    pictures: Mapping[str, bytes]  # evidence pictures by their names in the record
    rates: tuple[ErrorRates, ...] = ()
    name: str = ""


def pictures_of(screening: Screening, folder: Path) -> dict[str, bytes]:
    """The record's evidence pictures that lie in *folder*, proven by their hashes.

    Raises ConfigError where one is not what the record names. Those that are not there are left out.
    """
    found = {}
    for result in screening.modalities.values():
        for entry in result.evidence:
            path = folder / Path(entry.name).name
            if not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
                continue
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != entry.sha256:
                raise ConfigError(f"{path}: not the picture that the record names; its sha256 differs")
            found[entry.name] = content
    return found


def court_html(case: CourtCase, language_code: str) -> str:
    """The report as one HTML document without anything outside itself; raises ConfigError for an unknown language."""
    language = language_of(language_code)
    screening = case.screening
    notable = [f for f in wording.by_severity(screening.findings) if f.severity != "info"]
    return (
        _environment(language_code)
        .get_template("court.html")
        .render(
            case=case,
            screening=screening,
            results=wording.in_order(screening),
            has_pictures=any(result.evidence for result in screening.modalities.values()),
            findings=wording.by_severity(screening.findings),
            notable=notable[:FINDINGS_ON_FIRST_PAGE],
            more_findings=max(0, len(notable) - FINDINGS_ON_FIRST_PAGE),
            record_sha256=screening.digest(),
            techniques=techniques_of(screening),
            technique_names=NAMES,
            language=language.code,
            style=Markup((TEMPLATES / "court.css").read_text(encoding="utf-8")),
            Verdict=Verdict,
        )
    )


@lru_cache
def _environment(language_code: str) -> Environment:
    language = language_of(language_code)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: wording.shown(value) if type(value) is str or isinstance(value, Verdict) else value,
        extensions=["jinja2.ext.i18n"],
    )
    # The extension adds this method when it is loaded, which no type tells.
    installer: Any = environment
    installer.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)
    environment.filters.update(
        bytes=wording.bytes_text,
        clock=clock,
        facts=wording.facts_text,
        number=language.number,
        picture=_picture,
        score=lambda score: _score(score, language),
        sentence=wording.sentence,
        words=lambda text: language.gettext(str(text)),
    )
    environment.globals.update(
        at_limit=wording.at_limit,
        ratio=lambda result: _ratio(result, language),
        verdict_words=wording.VERDICT_WORDS,
        subject_words=wording.SUBJECT_WORDS,
    )
    return environment


def _ratio(result: ModalityResult, language: Language) -> str:
    """The likelihood ratio in words and in the local form of numbers."""
    if result.log10_lr is None:
        return ""
    times = float(f"{10 ** abs(result.log10_lr):.2g}")
    if times < 1.05:
        return language.gettext("The readings are equally probable under both hypotheses.")
    sentence = language.gettext(
        "The readings are about {times} times more probable if hypothesis {likelier} is true than if {other} is."
    )
    likelier, other = ("A", "B") if result.log10_lr > 0 else ("B", "A")
    decimals = 1 if times < 10 else 0
    return sentence.format(times=language.number(times, decimals=decimals), likelier=likelier, other=other)


def _score(score: float, language: Language) -> str:
    """Never 0 or 1, which would claim certainty."""
    if score < 0.005:
        return f"<{language.number(0.01)}"
    return f">{language.number(0.99)}" if score >= 0.995 else language.number(score)


def _picture(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
