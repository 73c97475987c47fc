"""The report of peers as one self-contained page, with forest plots of the differences."""

from __future__ import annotations

from deepscreen.evaluation.evaluation_page import figure_text
from deepscreen.evaluation.page import render_page
from deepscreen.evaluation.peers import forest
from deepscreen.evaluation.peers.duel import COMPARED
from deepscreen.evaluation.peers.peers_report import PeersReport
from deepscreen.evaluation.strata import METRICS, Shown

SHOWN = ("auc", "eer", "tpr_at_1_percent_fpr", "cllr", "cllr_min")


def peers_page(report: PeersReport) -> str:
    """HTML without script."""
    titles = {card.name: card.title for card in report.peers}
    return render_page(
        "peers.html",
        ("index.css", "evaluation.css", "peers.css"),
        {"difference": difference_text},
        report=report,
        titles={"ours": "Deepscreen", **titles},
        metrics=[row for row in METRICS if row.name in SHOWN],
        compared=[row for row in METRICS if row.name in COMPARED],
        drawing=forest,
        forests=[forest.forest(report.families, metric, titles) for metric in COMPARED],
        figure=figure_text,
    )


def difference_text(one: Shown) -> str:
    """``+0.210 (+0.150 to +0.280)``, or why there is no figure."""
    if one.value is None:
        return one.why_not
    if one.low is None or one.high is None:
        return f"{one.value:+.3f} ({one.why_not})"
    return f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
