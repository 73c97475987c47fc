"""The tables of docs/peers.md, from the report that ``deepscreen peers`` wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

METRIC_TITLES = {"auc": "AUC", "eer": "EER", "cllr": "Cllr"}
HEAD = (
    "| on the same files | n bona fide / spoof | "
    + " | ".join(f"{title}, ours | peer | difference (95 %)" for title in METRIC_TITLES.values())
    + " | TPR at 1 % FPR, ours | peer |",
    "|---" * (4 + 3 * len(METRIC_TITLES)) + "|",
)
CARDS_HEAD = ("| peer | licence | looks at | known of its training |", "|---|---|---|---|")


def peers_tables(report: Mapping[str, Any]) -> str:
    """Markdown: ours on all files, a table for each family, who the peers are. ``report``: peers.json as read."""
    titles = {card["name"]: card["title"] for card in report["peers"]}
    lines = []
    for family in report["families"]:
        lines += [f"### {family['name'].capitalize()}", "", _ours(family["ours"]), "", *HEAD]
        lines += [_row(titles[duel["peer"]], duel) for duel in family["duels"]]
        lines.append("")
    cards = [_cells(c["title"], c["licence"], c["looks_at"], c["known_of_its_training"]) for c in report["peers"]]
    return "\n".join((*lines, "### Who they are", "", *CARDS_HEAD, *cards, "", "### Not scored", "", *_left(report)))


def _ours(figures: Mapping[str, Any]) -> str:
    shown = figures["figures"]
    values = "; ".join(
        f"{title} {_interval(shown[name])}"
        for name, title in (
            ("auc", "AUC"),
            ("eer", "EER"),
            ("tpr_at_1_percent_fpr", "TPR at 1 % FPR"),
            ("cllr", "Cllr"),
            ("cllr_min", "Cllr_min"),
        )
    )
    n = f"{figures['n_bona_fide']} bona fide and {figures['n_spoof']} spoof files"
    units = f"{figures['n_units_bona_fide']} and {figures['n_units_spoof']} {figures['resampled']}"
    return f"Ours, on {n} ({units}): {values}."


def _row(title: str, duel: Mapping[str, Any]) -> str:
    ours, theirs = duel["ours"]["figures"], duel["theirs"]["figures"]
    cells = [title, f"{duel['theirs']['n_bona_fide']} / {duel['theirs']['n_spoof']}"]
    for name in METRIC_TITLES:
        cells += [_value(ours[name]), _value(theirs[name]), _interval(duel["differences"][name], sign="+")]
    return _cells(*cells, *(_value(side["tpr_at_1_percent_fpr"]) for side in (ours, theirs)))


def _left(report: Mapping[str, Any]) -> Iterator[str]:
    titles = {"ours": "ours", **{card["name"]: card["title"] for card in report["peers"]}}
    yield from ("| detector | scored | not scored, bona fide / spoof |", "|---|---|---|")
    for name, coverage in report["coverage"].items():
        left = [f"{n['reason']} {n['n_bona_fide']} / {n['n_spoof']}" for n in coverage["not_scored"]]
        yield _cells(titles[name], f"{coverage['n_scored']} of {coverage['n_rows']}", ", ".join(left) or "-")


def _value(one: Mapping[str, Any]) -> str:
    return one["why_not"] if one["value"] is None else f"{one['value']:.3f}"


def _interval(one: Mapping[str, Any], sign: str = "") -> str:
    if one["value"] is None:
        return str(one["why_not"])
    value = f"{one['value']:{sign}.3f}"
    if one["low"] is None:
        return f"{value} ({one['why_not']})"
    return f"{value} ({one['low']:{sign}.3f} to {one['high']:{sign}.3f})"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
