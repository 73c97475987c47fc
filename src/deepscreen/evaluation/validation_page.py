"""The validation report as one self-contained page that can be printed and filled in."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepscreen.evaluation.metrics import Estimate
from deepscreen.evaluation.validation import Quality, Rate
from deepscreen.evaluation.validation_report import ValidationReport
from deepscreen.report.as_html import TEMPLATES
from deepscreen.report.wording import sentence, shown

ROWS = (
    ("Cllr (1: no information)", "cllr"),
    ("Cllr_min (after the best monotone map)", "cllr_min"),
    ("Calibration loss (Cllr less Cllr_min)", "calibration_loss"),
    ("ECE (prior one half)", "ece"),
    ("AUC", "auc"),
    ("Bona fide called spoof_supported", "bona_fide_called_spoof"),
    ("Spoof called bona_fide_supported", "spoof_called_bona_fide"),
    ("Bona fide left inconclusive", "bona_fide_inconclusive"),
    ("Spoof left inconclusive", "spoof_inconclusive"),
)


def validation_page(report: ValidationReport) -> str:
    """HTML without script; names of sources and files are shown harmlessly."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update(sentence=sentence, figure=figure_text)
    style = (TEMPLATES / "index.css").read_text(encoding="utf-8") + (TEMPLATES / "validation.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"
    # Our own file, not input: it holds no end tag that would close its element.
    page = environment.get_template("validation.html")
    return page.render(report=report, rows=ROWS, style=Markup(style), policy=Markup(policy), of=_of)


def figure_text(figure: Estimate | Rate) -> str:
    """``0.412 (0.350 to 0.480)``; a rate in per cent, with its counts."""
    if isinstance(figure, Rate):
        low, high = 100 * figure.low, 100 * figure.high
        return f"{100 * figure.value:.1f} % ({low:.1f} to {high:.1f}), {figure.n_cases} of {figure.n_items}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _of(quality: Quality, name: str) -> Estimate | Rate:
    figure: Estimate | Rate = getattr(quality, name)
    return figure


def _harmless(value: Any) -> Any:
    return shown(value) if type(value) is str else value
