"""The validation report as one self-contained page that can be printed and filled in."""

from __future__ import annotations

from deepscreen.evaluation.metrics import Estimate
from deepscreen.evaluation.page import render_page
from deepscreen.evaluation.validation import Quality, Rate
from deepscreen.evaluation.validation_report import ValidationReport

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
    return render_page(
        "validation.html", ("index.css", "validation.css"), {"figure": figure_text}, report=report, rows=ROWS, of=_of
    )


def figure_text(figure: Estimate | Rate) -> str:
    """``0.412 (0.350 to 0.480)``; a rate in per cent, with its counts."""
    if isinstance(figure, Rate):
        low, high = 100 * figure.low, 100 * figure.high
        return f"{100 * figure.value:.1f} % ({low:.1f} to {high:.1f}), {figure.n_cases} of {figure.n_items}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _of(quality: Quality, name: str) -> Estimate | Rate:
    figure: Estimate | Rate = getattr(quality, name)
    return figure
