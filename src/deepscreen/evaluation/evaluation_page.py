"""The report of an evaluation as one self-contained page, plots drawn in it as SVG."""

from __future__ import annotations

from deepscreen.evaluation import plots
from deepscreen.evaluation.evaluation_report import EvaluationReport
from deepscreen.evaluation.page import render_page
from deepscreen.evaluation.strata import METRICS, MIN_FOR_FPR, Figures, Shown

RATES = frozenset({"eer", "tpr_at_1_percent_fpr"})  # shown in per cent


def evaluation_page(report: EvaluationReport) -> str:
    """HTML without script; names of files and sources are shown harmlessly."""
    return render_page(
        "evaluation.html",
        ("index.css", "evaluation.css"),
        {"percent": percent_text},
        report=report,
        metrics=METRICS,
        min_for_fpr=MIN_FOR_FPR,
        drawing=plots,
        plots_of=plots.plots_of,
        figure=figure_text,
    )


def figure_text(figures: Figures, name: str) -> str:
    """``0.912 (0.850 to 0.950)``, or why there is no figure."""
    one = figures.figures[name]
    return percent_text(one) if name in RATES else _text(one, 1, 3, "")


def percent_text(one: Shown) -> str:
    """``8.1 % (6.0 to 11.2)``, or why there is no figure."""
    return _text(one, 100, 1, " %")


def _text(one: Shown, factor: int, decimals: int, unit: str) -> str:
    if one.value is None:
        return one.why_not
    value = f"{factor * one.value:.{decimals}f}{unit}"
    if one.low is None or one.high is None:
        return f"{value} ({one.why_not})"
    return f"{value} ({factor * one.low:.{decimals}f} to {factor * one.high:.{decimals}f})"
